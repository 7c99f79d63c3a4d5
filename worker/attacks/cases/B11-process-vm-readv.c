// Tries: reads the memory of pid 1 and of whoever started it.
// Seen: Judges whose checker and answer are in the supervisor's memory.
// Must: the sandbox ends, and the outcome names the call.
// Case: row=B11 expect=forbidden:process_vm_readv
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    char bytes[4096];
    struct iovec local = {bytes, sizeof bytes}, remote = {(void *)0x400000, sizeof bytes};
    long answer = process_vm_readv(1, &local, 1, &remote, 1, 0);
    printf("ESCAPED: process_vm_readv answered %ld\n", answer);
    return 66;
}
