// Tries: burns CPU in children whose death is ignored, so that their usage is added to nobody's.
// Seen: getrusage(2): RUSAGE_CHILDREN counts waited-for children only; isolate's reason for control groups.
// Must: the CPU limit counts all of it.
// Case: row=C3 expect=limit:cpu limits=cpu:500ms
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    signal(SIGCHLD, SIG_IGN);
    for (;;) {
        if (!fork()) { while (clock() < CLOCKS_PER_SEC / 100) {} _exit(0); }
        // With SIGCHLD ignored this waits until none is left, and adds nothing to the parent's usage.
        wait(0);
    }
}
