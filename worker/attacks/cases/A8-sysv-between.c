// Tries: meets a second sandbox in SysV shared memory, semaphores and queues of a well-known key.
// Seen: every sandbox without an ipc namespace; "SysV and POSIX queues" in judges' rules against cheating.
// Must: the key is always free, and the tables show nothing.
// Case: row=A8 expect=held beside limits=wall:5s
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <time.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    struct timespec pause = {1, 200000000};
    struct seminfo tables = {0};
    struct shm_info memory = {0};
    semctl(0, 0, SEM_INFO, &tables);
    shmctl(0, SHM_INFO, (struct shmid_ds *)&memory);
    if (tables.semusz || memory.used_ids) { puts("ESCAPED: there is somebody's already"); return 66; }
    const key_t key = 0x4b494c4e;
    int made[] = {shmget(key, 4096, IPC_CREAT | IPC_EXCL | 0666), semget(key, 1, IPC_CREAT | IPC_EXCL | 0666), msgget(key, IPC_CREAT | IPC_EXCL | 0666)};
    for (int n = 0; n < 3; n++) if (made[n] < 0 && errno == EEXIST) { printf("ESCAPED: kind %d exists\n", n); return 66; }
    nanosleep(&pause, 0);
    puts("HELD");
    return 0;
}
