// Tries: processes that share their memory (CLONE_VM), so that each costs nearly nothing, each with its own files and signals.
// Seen: clone bombs against limits of memory and of threads per process.
// Must: the pids limit counts them like any other.
// Case: row=C1 expect=limit:pids
#define _GNU_SOURCE
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>
static int child(void *unused) { (void)unused; for (;;) pause(); return 0; }
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    for (int n = 0;; n++) {
        char *stack = malloc(16384);
        if (stack) clone(child, stack + 16384, n % 2 ? CLONE_VM | CLONE_FILES : CLONE_VM, 0);
    }
}
