// Tries: has its pages put out to the host's swap as fast as it makes them, so that only the rest counts.
// Seen: judges on hosts with swap: memory limits that a slow program passes.
// Must: memory is counted with swap: the limit ends it.
// Case: row=C7 expect=limit:memory limits=cpu:5s,wall:8s
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    for (int n = 0; n < 40; n++) {
        char *block = mmap(0, 4 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (block == MAP_FAILED) return 1;
        for (int at = 0; at < 4 << 20; at += 64) block[at] = (char)rand();
        madvise(block, 4 << 20, 21 /* MADV_PAGEOUT */);
    }
    puts("ESCAPED: 160 MiB, put out");
    return 66;
}
