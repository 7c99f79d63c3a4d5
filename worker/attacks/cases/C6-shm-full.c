// Tries: takes memory where a meter may not look: files in /dev/shm, with a disk that is smaller than the memory.
// Seen: issues of isolate and go-judge on tmpfs and socket buffers.
// Must: the disk limit refuses with ENOSPC, and nothing is charged afterwards.
// Case: row=C6 expect=held
#include "C6-memory-places.h"
int main(void) {
    fill_path("/dev/shm/f");
    if (errno != ENOSPC) { printf("ESCAPED: refused by errno %d, not by the disk limit\n", errno); return 66; }
    return 0;
}
