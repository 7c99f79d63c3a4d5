// Tries: the oldest way out: a chroot below the working directory, then up past it.
// Seen: chroot(2); every jail made of chroot alone.
// Must: the sandbox ends, and the outcome names the call.
// Case: row=B2 expect=forbidden:chroot
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    mkdir("/work/below", 0755);
    int left = chroot("/work/below");
    for (int n = 0; n < 64 && left == 0; n++) if (chdir("..")) break;
    printf("ESCAPED: chroot answered %d\n", left);
    return 66;
}
