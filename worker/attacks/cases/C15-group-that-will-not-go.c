// Tries: makes its control groups hard to remove: charged memory that outlives it, dying threads, stopped and stuck processes, all at the moment of its end.
// Seen: EBUSY of rmdir and piles of dying groups in runc, isolate and Kubernetes issues.
// Must: the next command starts as if nothing had been, and ends well.
// Case: row=C15 expect=held twice limits=pids:64,memory:64M
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <unistd.h>
static void *busy(void *unused) { for (;;) { void *block = malloc(65536); if (block) memset(block, 1, 65536); free(block); usleep(10); } return unused; }
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    pthread_t thread;
    int memory = memfd_create("m", 0), ends[2];
    static char block[1 << 16];
    if (posix_fallocate(memory, 0, 4 << 20) || pipe(ends) || write(ends[1], block, sizeof block) < 0) return 1;
    char *segment = shmat(shmget(IPC_PRIVATE, 4 << 20, IPC_CREAT | 0600), 0, 0);
    if (segment != (char *)-1) memset(segment, 1, 4 << 20);
    for (int n = 0; n < 10; n++)
        if (!fork()) {
            setsid();
            if (n % 3 == 0 && !vfork()) { kill(getpid(), SIGSTOP); _exit(0); }
            if (n % 3 == 1) kill(getpid(), SIGSTOP);
            busy(0);
        }
    for (int n = 0; n < 10; n++) pthread_create(&thread, 0, busy, 0);
    usleep(50000);
    puts("HELD");
    fflush(stdout);
    _exit(0);
}
