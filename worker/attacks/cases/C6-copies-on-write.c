// Tries: one large region, shared after fork, that each child then copies by writing to it.
// Seen: limits on address space, which see one region of one size.
// Must: the memory limit counts each copy.
// Case: row=C6 expect=limit:memory
#include <stdlib.h>
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    const size_t size = 16 << 20;
    volatile char *region = malloc(size);
    if (!region) return 1;
    for (size_t at = 0; at < size; at += 4096) region[at] = 1;
    for (int n = 0; n < 10; n++) if (!fork()) { for (size_t at = 0; at < size; at += 4096) region[at] = 2; for (;;) pause(); }
    sleep(3);
    puts("ESCAPED: 176 MiB in copies");
    return 66;
}
