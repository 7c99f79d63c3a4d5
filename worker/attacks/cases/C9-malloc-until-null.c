// Tries: takes memory until it is refused, touches all of it, and reports success, for kernels that promise more than there is.
// Seen: judges on hosts with overcommit: "accepted" after a kill of a helper.
// Must: the outcome is the memory limit; no touch above it succeeds.
// Case: row=C9 expect=limit:memory
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    size_t size = (size_t)1 << 40;
    char *all = 0;
    while (!(all = malloc(size)) && size) size /= 2;
    for (size_t at = 0; at < size && at < (size_t)1 << 28; at += 4096) all[at] = 1;
    printf("ESCAPED: 256 MiB of %zu bytes were there\n", size);
    return 66;
}
