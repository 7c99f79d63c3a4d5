// Tries: kernel memory in pipes blown up to a megabyte each, filled and left in flight as descriptors between sockets.
// Seen: CVE-2016-2847 (pipe buffers without a limit); isolate's and go-judge's issues on socket buffers.
// Must: the memory limit or a refusal stops it below the limit.
// Case: row=C6 expect=limit:memory|held limits=open_files:1024
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    static char block[1 << 16];
    long written = 0;
    memset(block, 'x', sizeof block);
    for (int n = 0; n < 400; n++) {
        int ends[2];
        if (pipe2(ends, O_NONBLOCK)) { printf("HELD: refused after %ld bytes\n", written); return 0; }
        fcntl(ends[1], F_SETPIPE_SZ, 1 << 20);
        for (long wrote; (wrote = write(ends[1], block, sizeof block)) > 0;) written += wrote;
        if (written > 100L << 20) { puts("ESCAPED: 100 MiB in pipes"); return 66; }
    }
    printf("HELD: %ld bytes only\n", written);
    return 0;
}
