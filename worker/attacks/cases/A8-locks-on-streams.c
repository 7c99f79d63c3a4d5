// Tries: locks, flags and offsets of what it was given as stdin, stdout and stderr, in case another sandbox was given the same.
// Seen: go-judge's shared /dev/null; isolate NEWS 2.4.
// Must: its streams are its own.
// Case: row=A8 expect=held beside limits=wall:5s
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <time.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    struct timespec pause = {0, 100000000};
    int flags[3];
    for (int fd = 0; fd < 3; fd++) {
        flags[fd] = fcntl(fd, F_GETFL);
        if (flags[fd] & (O_APPEND | O_NOATIME)) { printf("ESCAPED: somebody changed %d\n", fd); return 66; }
        if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) { printf("ESCAPED: %d is locked by another\n", fd); return 66; }
        fcntl(fd, F_SETFL, flags[fd] | O_APPEND);
    }
    for (int n = 0; n < 10; n++) nanosleep(&pause, 0);
    for (int fd = 0; fd < 3; fd++)
        if (!(fcntl(fd, F_GETFL) & O_APPEND)) { printf("ESCAPED: somebody changed %d back\n", fd); return 66; }
    puts("HELD");
    return 0;
}
