// Tries: SysV segments, attached by nobody, which stay when their process ends.
// Seen: isolate's and go-judge's issues on shared memory; meters by process.
// Must: the memory limit or a refusal stops it below the limit.
// Case: row=C6 expect=limit:memory|held
#include <stdio.h>
#include <string.h>
#include <sys/shm.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    for (int n = 0; n < 32; n++) {
        int segment = shmget(IPC_PRIVATE, 4 << 20, IPC_CREAT | 0600);
        char *bytes = segment < 0 ? (char *)-1 : shmat(segment, 0, 0);
        if (bytes == (char *)-1) { printf("HELD: refused after %d\n", n); return 0; }
        memset(bytes, 1, 4 << 20);
        shmdt(bytes);
    }
    puts("ESCAPED: 128 MiB in segments");
    return 66;
}
