// Tries: takes the right to all I/O ports.
// Seen: x86 port access by iopl: Docker's and systemd's lists.
// Must: the sandbox ends, and the outcome names the call.
// Case: row=B11 expect=forbidden:iopl
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
#ifdef SYS_iopl
    long answer = syscall(SYS_iopl, 3);
    printf("ESCAPED: iopl answered %ld\n", answer);
    return 66;
#else
    puts("not for this machine");
    return 1;
#endif
}
