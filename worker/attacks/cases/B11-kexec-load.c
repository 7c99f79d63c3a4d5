// Tries: has another kernel started in place of this one.
// Seen: Docker's list of refused calls.
// Must: the sandbox ends, and the outcome names the call.
// Case: row=B11 expect=forbidden:kexec_load
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    long answer = syscall(SYS_kexec_load, 0, 0, 0, 0);
    printf("ESCAPED: kexec_load answered %ld\n", answer);
    return 66;
}
