// Tries: a wake-up call between sandboxes: a shared futex on a page of an image's file, whose inode both map.
// Seen: isolate NEWS 2.4 (inode locks as channels); futex(2): shared futexes are keyed by inode and offset.
// Must: nobody of another sandbox waits there.
// Case: row=A8 expect=held beside limits=wall:4s
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int main(int argc, char **argv) {
    int waits = argc > 1 && !strcmp(argv[1], "one");
    struct timespec patience = {1, 500000000}, pause = {0, 10000000};
    const char *paths[] = {"/usr/bin/env", "/etc/passwd", "/usr/lib/os-release"};
    for (unsigned n = 0; n < 3; n++) {
        int file = open(paths[n], O_RDONLY);
        if (file < 0) continue;
        unsigned *word = mmap(0, 4096, PROT_READ, MAP_SHARED, file, 0);
        if (word == MAP_FAILED) continue;
        if (waits) {
            if (syscall(SYS_futex, word, FUTEX_WAIT, *word, &patience, 0, 0) == 0) { printf("ESCAPED: woken on %s\n", paths[n]); return 66; }
            break;
        }
        for (int round = 0; round < 50; round++, nanosleep(&pause, 0))
            if (syscall(SYS_futex, word, FUTEX_WAKE, 1, 0, 0, 0) > 0) { printf("ESCAPED: woke a waiter on %s\n", paths[n]); return 66; }
    }
    puts("HELD");
    return 0;
}
