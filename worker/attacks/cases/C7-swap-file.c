// Tries: swap of its own, in a file, to have more memory than its limit.
// Seen: jobs as root of a container; swapon in Docker's list.
// Must: the sandbox ends, and the outcome names the call.
// Case: row=C7 expect=forbidden:swapon
#include <fcntl.h>
#include <stdio.h>
#include <sys/swap.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    int file = open("/work/swap", O_CREAT | O_RDWR, 0600);
    if (posix_fallocate(file, 0, 1 << 20) || pwrite(file, "SWAPSPACE2", 10, 4086) != 10) return 1;
    printf("ESCAPED: swapon answered %d\n", swapon("/work/swap", SWAP_FLAG_DISCARD));
    return 66;
}
