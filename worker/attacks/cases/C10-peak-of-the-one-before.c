// Tries: leaves a high peak and charged memory to the next command on the slot, which needs nearly all of its own.
// Seen: judges that reuse a control group: the second run failed for the first one's peak.
// Must: each command has its limit to itself.
// Case: row=C10 expect=held twice limits=memory:64M,disk:64M
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/shm.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    size_t size = 16 << 20;
    volatile char *region = malloc(size), *segment = shmat(shmget(IPC_PRIVATE, size, IPC_CREAT | 0600), 0, 0);
    int file = open("/dev/shm/f", O_CREAT | O_RDWR, 0600);
    if (!region || segment == (volatile char *)-1 || posix_fallocate(file, 0, (off_t)size)) return 1;
    for (size_t at = 0; at < size; at += 4096) region[at] = segment[at] = 1;
    puts("HELD");
    return 0;
}
