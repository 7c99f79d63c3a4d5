// Tries: enters the namespaces of pid 1 by a descriptor of the process, all of them in one call.
// Seen: setns(2) with a pidfd since Linux 5.8; nsenter from a container.
// Must: the sandbox ends, and the outcome names the call.
// Case: row=B8 expect=forbidden:setns
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    int first = (int)syscall(SYS_pidfd_open, 1, 0);
    int answer = setns(first, CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUSER);
    printf("ESCAPED: setns of descriptor %d answered %d\n", first, answer);
    return 66;
}
