// Tries: stays one below the limit, with processes and threads that come and go as fast as they can, so that counting is always wrong.
// Seen: comet-like bombs against supervisors that poll the process list.
// Must: it is within its rights until time is up, and nothing of it outlives that.
// Case: row=C1 expect=limit:wall|limit:cpu limits=wall:1500ms,pids:8
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>
static void *nothing(void *unused) { return unused; }
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    for (int n = 0; n < 3; n++)
        if (!fork())
            for (;;) {
                // At most one more each: seven together.
                pthread_t thread;
                if (!fork()) _exit(0);
                wait(0);
                if (pthread_create(&thread, 0, nothing, 0) == 0) pthread_join(thread, 0);
            }
    for (;;) pause();
}
