// Tries: output in single bytes and without a newline, from several processes, so that each byte costs the reader a wake-up.
// Seen: every judge that reads line by line or into memory.
// Must: the output or CPU limit ends it; nothing is lost before it.
// Case: row=C11 expect=limit:output|limit:cpu limits=output:64K,cpu:4s
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    for (int n = 0; n < 2; n++) fork();
    for (;;) if (write(1, "y", 1) != 1) _exit(0);
}
