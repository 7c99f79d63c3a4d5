// Tries: moves a mount away to see what lies below it: /proc, /dev, /usr.
// Seen: move_mount(2); runc's masked paths are mounts that cover something.
// Must: the sandbox ends, and the outcome names the call.
// Case: row=B9 expect=forbidden:move_mount
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    long moved = syscall(429, AT_FDCWD, "/proc", AT_FDCWD, "/work", 0);
    printf("ESCAPED: move_mount answered %ld\n", moved);
    return 66;
}
