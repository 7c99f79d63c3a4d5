// Tries: a file system of its own by the newer mount calls, which filters of mount(2) forgot.
// Seen: CVE-2022-0185 (fsconfig's overflow); sandboxes with deny lists from before Linux 5.2.
// Must: the sandbox ends at the first call, and the outcome names it.
// Case: row=B9 expect=forbidden:fsopen
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    char overflow[4095];
    memset(overflow, 'A', sizeof overflow), overflow[sizeof overflow - 1] = 0;
    int context = (int)syscall(430 /* fsopen */, "ext4", 0);
    long answer = syscall(431 /* fsconfig */, context, 1, overflow, "val", 0);
    printf("ESCAPED: fsopen answered %d, fsconfig %ld\n", context, answer);
    return 66;
}
