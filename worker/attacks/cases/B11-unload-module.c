// Tries: unloads a module of the kernel by force.
// Seen: Docker's list of refused calls.
// Must: the sandbox ends, and the outcome names the call.
// Case: row=B11 expect=forbidden:delete_module
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    long answer = syscall(SYS_delete_module, "overlay", O_NONBLOCK | O_TRUNC);
    printf("ESCAPED: delete_module answered %ld\n", answer);
    return 66;
}
