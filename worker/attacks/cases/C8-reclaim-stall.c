// Tries: lives at the edge of its memory: little is left for the pages of files that it reads round and round, so that the kernel reclaims all the time.
// Seen: kernel threads on thrashing groups; judges whose time-out came minutes late.
// Must: a limit ends it in time.
// Case: row=C8 expect=limit:wall|limit:memory|limit:cpu limits=wall:2s,memory:24M,disk:64M
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    const char *paths[] = {"/usr/bin/python3", "/usr/bin/perl", "/usr/bin/bash", "/usr/bin/gdb", "/usr/lib/x86_64-linux-gnu/libc.so.6", "/usr/lib/x86_64-linux-gnu/libcrypto.so.3"};
    static char block[1 << 16];
    char *fill = malloc(20 << 20);
    memset(fill, 1, 20 << 20);
    for (int n = 0; n < 4; n++) fork();
    for (;;)
        for (int n = 0; n < 6; n++) {
            int file = open(paths[n], O_RDONLY);
            while (file >= 0 && read(file, block, sizeof block) > 0) fill[rand() % (20 << 20)]++;
            if (file >= 0) { posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED); close(file); }
        }
}
