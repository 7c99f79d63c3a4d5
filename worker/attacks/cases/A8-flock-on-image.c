// Tries: locks whole files of the image against a second sandbox that wants the same, which would be a bit per lock.
// Seen: isolate NEWS 2.4: inode locks as a channel between sandboxes.
// Must: both get every lock: the inodes are not the same.
// Case: row=A8 expect=held beside limits=wall:5s
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    const char *paths[] = {"/usr/bin/env", "/etc/passwd", "/usr", "/", "/dev", "/dev/null", "/proc", "/work", "/tmp", "/dev/shm"};
    struct timespec pause = {0, 100000000};
    for (unsigned n = 0; n < 10; n++) {
        int file = open(paths[n], O_RDONLY);
        if (file >= 0 && flock(file, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) { printf("ESCAPED: %s is locked by another\n", paths[n]); return 66; }
    }
    // Held until the end, so that whoever comes second would be refused.
    for (int n = 0; n < 12; n++) nanosleep(&pause, 0);
    puts("HELD");
    return 0;
}
