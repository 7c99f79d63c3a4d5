// Tries: stops itself by SIGSTOP, SIGTSTP and a stopped vfork child, so that it neither ends nor uses anything.
// Seen: piston issue 196: SIGSTOP to the group defeated the timeout.
// Must: the wall limit ends it.
// Case: row=A12 expect=limit:wall limits=wall:700ms
#define _GNU_SOURCE
#include <signal.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    if (!vfork()) {
        // The parent now waits in the kernel, where only SIGKILL reaches it.
        kill(getpid(), SIGSTOP);
        _exit(0);
    }
    for (;;) raise(SIGSTOP);
}
