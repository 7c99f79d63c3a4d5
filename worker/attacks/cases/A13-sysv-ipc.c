// Tries: leaves shared memory with a message, a semaphore and a queue, none of which ends with its process.
// Seen: piston's tests; every judge that removes files only.
// Must: the next command finds no key and no segment of any number.
// Case: row=A13 expect=held twice
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
int main(int argc, char **argv) {
    const key_t key = 0x1f1f1f;
    if (argc > 1 && !strcmp(argv[1], "second")) {
        struct shmid_ds segment;
        struct msqid_ds queue;
        if (shmget(key, 0, 0) >= 0 || semget(key, 0, 0) >= 0 || msgget(key, 0) >= 0) { puts("ESCAPED: a key is there"); return 66; }
        for (int n = 0; n < 4096; n++)
            if (shmctl(n, SHM_STAT, &segment) >= 0 || msgctl(n, MSG_STAT, &queue) >= 0) { printf("ESCAPED: number %d is there\n", n); return 66; }
        puts("HELD");
        return 0;
    }
    int memory = shmget(key, 1 << 16, IPC_CREAT | 0666);
    char *text = shmat(memory, 0, 0);
    if (text == (char *)-1 || semget(key, 3, IPC_CREAT | 0666) < 0 || msgget(key, IPC_CREAT | 0666) < 0) return 1;
    strcpy(text, "the first one's answer");
    puts("HELD");
    return 0;
}
