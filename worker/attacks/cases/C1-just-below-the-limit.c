// Tries: stays one below the limit, with processes and threads that come and go as fast as they can, so that counting is always wrong.
// Seen: comet-like bombs against supervisors that poll the process list.
// Must: it is within its rights until time is up, and nothing of it outlives that.
// Case: row=C1 expect=limit:wall|limit:cpu limits=wall:1500ms,pids:8
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
static void *nothing(void *tid) { *(long *)tid = syscall(SYS_gettid); return 0; }
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    for (int n = 0; n < 3; n++)
        if (!fork())
            for (;;) {
                // At most one more each: seven together. A joined thread counts until the kernel has let go of it.
                pthread_t thread;
                long tid;
                if (!fork()) _exit(0);
                wait(0);
                if (pthread_create(&thread, 0, nothing, &tid) == 0) {
                    pthread_join(thread, 0);
                    while (syscall(SYS_tgkill, getpid(), tid, 0) == 0) sched_yield();
                }
            }
    for (;;) pause();
}
