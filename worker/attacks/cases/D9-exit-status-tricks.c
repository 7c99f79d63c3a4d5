// Tries: ends in ways that look like success or like the service's own codes: a status of 256, of 125, the main thread gone before the others.
// Seen: judges that read the low byte, or the first thread's end.
// Must: the status is the one of the process, when all its threads have ended.
// Case: row=D9 expect=exit:125
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
static void *last(void *unused) {
    int status;
    if (!fork()) _exit(256);
    wait(&status);
    usleep(50000);
    // 0x17d: only the low byte counts, and it is what the service itself uses for its own failures.
    if (status == 0) _exit(0x17d);
    return unused;
}
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    pthread_t thread;
    if (pthread_create(&thread, 0, last, 0)) return 1;
    syscall(SYS_exit, 0);
    return 1;
}
