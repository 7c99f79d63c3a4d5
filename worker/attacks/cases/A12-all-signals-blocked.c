// Tries: blocks every signal in every thread and waits, for a supervisor that asks before it kills.
// Seen: langfuse issue 15955; every time-out by SIGTERM.
// Must: the wall limit ends it.
// Case: row=A12 expect=limit:wall limits=wall:700ms
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>
static void *wait_for_ever(void *unused) { for (;;) pause(); return unused; }
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    sigset_t all;
    pthread_t thread;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, 0);
    for (int n = 0; n < 4; n++) pthread_create(&thread, 0, wait_for_ever, 0);
    // Also without the thread that everybody waits for.
    syscall(SYS_exit, 0);
    return 1;
}
