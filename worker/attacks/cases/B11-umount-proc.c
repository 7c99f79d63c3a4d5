// Tries: takes /proc and /dev away, to see what lies below.
// Seen: The first step out of masks made by mounts.
// Must: the sandbox ends, and the outcome names the call.
// Case: row=B11 expect=forbidden:umount2
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/mount.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    long answer = umount2("/proc", MNT_DETACH);
    printf("ESCAPED: umount2 answered %ld\n", answer);
    return 66;
}
