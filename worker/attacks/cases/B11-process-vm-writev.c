// Tries: writes a verdict into the memory of pid 1.
// Seen: Judges whose verdict is in a process of the same uid.
// Must: the sandbox ends, and the outcome names the call.
// Case: row=B11 expect=forbidden:process_vm_writev
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    char verdict[] = "accepted";
    struct iovec local = {verdict, sizeof verdict}, remote = {(void *)0x400000, sizeof verdict};
    long answer = process_vm_writev(1, &local, 1, &remote, 1, 0);
    printf("ESCAPED: process_vm_writev answered %ld\n", answer);
    return 66;
}
