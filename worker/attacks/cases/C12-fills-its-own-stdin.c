// Tries: opens its own stdin for writing and fills it, so that whoever feeds it must wait for ever.
// Seen: deadlocks of services that write stdin before they read stdout.
// Must: it has a pipe to itself; the service neither waits nor grows.
// Case: row=C12 expect=limit:wall|held limits=wall:1s
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    static char block[1 << 16];
    int own = open("/dev/stdin", O_RDWR);
    if (own < 0) { puts("HELD: cannot be written"); return 0; }
    // Blocks once it is full.
    while (write(own, block, sizeof block) > 0) {}
    return 1;
}
