// Tries: hands its children to the process outside that started it (CLONE_PARENT), and leaves them there as zombies.
// Seen: clone(2); zap_pid_ns_processes in the kernel waits for every process of a namespace, also for those with a parent outside.
// Must: the sandbox ends at once, and nothing of it stays with the jail.
// Case: row=C2 expect=held limits=wall:4s,pids:16
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    for (int n = 0; n < 5; n++) {
        long child = syscall(SYS_clone, CLONE_PARENT | (n % 2 ? SIGCHLD : 0), 0, 0, 0, 0);
        if (child == 0) { if (n < 3) _exit(7); for (;;) pause(); }
    }
    usleep(100000);
    if (waitpid(-1, 0, WNOHANG | __WALL) > 0) puts("a child is its own");
    puts("HELD");
    return 0;
}
