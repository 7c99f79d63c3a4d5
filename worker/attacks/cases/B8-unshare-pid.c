// Tries: a pid namespace, to be its first process, which ignores signals.
// Seen: pid_namespaces(7): pid 1 cannot be killed from within; jobs that hide processes from a supervisor's list.
// Must: the sandbox ends at the first call, and the outcome names it.
// Case: row=B8 expect=forbidden:unshare
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    int answer = unshare(CLONE_NEWPID);
    printf("ESCAPED: unshare answered %d\n", answer);
    if (fork() == 0) { printf("ESCAPED: is process %d\n", getpid()); _exit(66); }
    wait(0);
    return 66;
}
