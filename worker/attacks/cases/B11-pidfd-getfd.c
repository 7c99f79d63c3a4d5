// Tries: takes descriptors of pid 1 out of it.
// Seen: pidfd_getfd(2) since Linux 5.6: newer than most deny lists.
// Must: the sandbox ends, and the outcome names the call.
// Case: row=B11 expect=forbidden:pidfd_getfd
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    int first = (int)syscall(SYS_pidfd_open, 1, 0);
    long answer = syscall(438, first, 0, 0);
    printf("ESCAPED: pidfd_getfd answered %ld\n", answer);
    return 66;
}
