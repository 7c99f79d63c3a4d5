// Tries: fills the service's memory with output: both streams, no newline, large and 1-byte writes at once.
// Seen: every judge that reads output into memory.
// Must: the output limit stops it; the worker's memory does not grow.
// Case: row=C11 expect=limit:output
#include <string.h>
#include <unistd.h>
int main(void) {
    static char block[1 << 16];
    memset(block, 'x', sizeof block);
    if (!fork()) for (;;) write(2, "y", 1);
    if (!fork()) for (;;) write(2, block, sizeof block);
    for (;;) write(1, block, sizeof block);
}
