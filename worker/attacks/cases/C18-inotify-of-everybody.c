// Tries: takes every inotify instance there is: user namespaces count them for who made the namespace, which is the service, too.
// Seen: inotify(7) max_user_instances, 128 by default; Kubernetes nodes with "too many open files" for everybody.
// Must: each sandbox has a share of its own: the one beside it still gets some.
// Case: row=C18 expect=held beside limits=wall:5s,open_files:1024
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>
int main(int argc, char **argv) {
    struct timespec moment = {0, 400000000};
    int got = 0;
    if (argc > 1 && !strcmp(argv[1], "one")) {
        while (got < 1000 && inotify_init1(IN_CLOEXEC) >= 0) got++;
        for (int n = 0; n < 4; n++) nanosleep(&moment, 0);
    } else {
        nanosleep(&moment, 0);
        while (got < 4 && inotify_init1(IN_CLOEXEC) >= 0) got++;
        if (got < 4) { printf("ESCAPED: %d only, %s\n", got, strerror(errno)); return 66; }
    }
    printf("HELD: got %d\n", got);
    return 0;
}
