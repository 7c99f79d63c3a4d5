// Tries: record locks on the image's files and on its own streams, and asks whether anybody else holds one.
// Seen: isolate NEWS 2.4; fcntl(2): F_OFD_GETLK tells of locks that one may not take oneself.
// Must: nobody else's lock shows.
// Case: row=A8 expect=held beside limits=wall:5s
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    const char *paths[] = {"/usr/bin/env", "/etc/passwd", "/usr/lib/os-release", "/dev/zero", "/dev/stdin"};
    struct timespec pause = {0, 50000000};
    int files[5];
    for (unsigned n = 0; n < 5; n++) {
        struct flock shared = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
        files[n] = open(paths[n], O_RDONLY);
        if (files[n] >= 0) fcntl(files[n], F_OFD_SETLK, &shared);
    }
    for (int round = 0; round < 25; round++, nanosleep(&pause, 0))
        for (unsigned n = 0; n < 5; n++) {
            struct flock wanted = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
            if (files[n] >= 0 && fcntl(files[n], F_OFD_GETLK, &wanted) == 0 && wanted.l_type != F_UNLCK) {
                printf("ESCAPED: another holds a lock on %s\n", paths[n]);
                return 66;
            }
        }
    puts("HELD");
    return 0;
}
