// Tries: takes memory where a meter may not look: page tables, by touching one byte of each table in huge reservations.
// Seen: issues of isolate and go-judge on tmpfs and socket buffers.
// Must: the memory limit or a refusal ends it, the peak stays below the limit.
// Case: row=C6 expect=limit:memory|held limits=disk:256M
#include "C6-memory-places.h"
int main(void) {
    for (;;) {
        char *region = mmap(0, 1UL << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (region == MAP_FAILED) return refused("mmap");
        for (unsigned long offset = 0; offset < 1UL << 30; offset += 1UL << 21) (void)*(volatile char *)(region + offset);
    }
}
