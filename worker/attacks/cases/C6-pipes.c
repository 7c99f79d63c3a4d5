// Tries: takes memory where a meter may not look: the buffers of pipes.
// Seen: issues of isolate and go-judge on tmpfs and socket buffers.
// Must: the memory limit or a refusal ends it, the peak stays below the limit.
// Case: row=C6 expect=limit:memory|held limits=disk:256M
#include "C6-memory-places.h"
int main(void) {
    for (;;) {
        int ends[2];
        if (pipe2(ends, O_NONBLOCK)) return refused("pipe");
        while (write(ends[1], block, 65536) > 0) {}
    }
}
