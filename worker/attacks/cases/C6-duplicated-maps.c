// Tries: confuses the count by moving pages: mremap, discarding, marking free, populating again, in several processes at once.
// Seen: meters by VmPeak or by sampling smaps.
// Must: the memory limit counts what is there at the same time.
// Case: row=C6 expect=limit:memory
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
enum { EACH = 8 << 20 };
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    char *maps[20];
    for (int n = 0; n < 20; n++) {
        maps[n] = mmap(0, EACH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (maps[n] == MAP_FAILED) return 1;
        memset(maps[n], 1, EACH / 2);
        madvise(maps[n], EACH, MADV_FREE);
        maps[n] = mremap(maps[n], EACH, EACH * 2, MREMAP_MAYMOVE);
        if (maps[n] == MAP_FAILED) return 1;
        madvise(maps[n], EACH, 23 /* MADV_POPULATE_WRITE */);
        memset(maps[n], 2, EACH);
        madvise(maps[n], EACH, MADV_DONTFORK);
        madvise(maps[n], EACH, 20 /* MADV_COLD */);
    }
    puts("ESCAPED: 160 MiB in moved maps");
    return 66;
}
