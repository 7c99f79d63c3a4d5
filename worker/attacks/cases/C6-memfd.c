// Tries: takes memory where a meter may not look: a memfd, which is a file in no directory.
// Seen: issues of isolate and go-judge on tmpfs and socket buffers.
// Must: the memory limit ends it, the peak stays below the limit, and nothing is charged afterwards.
// Case: row=C6 expect=limit:memory|held limits=disk:256M
#include "C6-memory-places.h"
int main(void) { return fill(memfd_create("hidden", 0), "memfd"); }
