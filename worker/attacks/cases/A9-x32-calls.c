// Tries: x32's own numbers, of which some (execve, ptrace) are other than x86-64's and unknown to most filters.
// Seen: CVE-2014-0038 (x32 recvmmsg); firejail and sandstorm filters that forgot x32.
// Must: the sandbox ends, and the outcome names the ABI and the call.
// Case: row=A9 expect=forbidden:x32:openat
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
#ifdef __x86_64__
    long answer = syscall(0x40000000 + 257, AT_FDCWD, "/proc/1/root/etc/shadow", O_RDONLY);
    printf("ESCAPED: openat was answered with %ld\n", answer);
    answer = syscall(0x40000000 + 521, 16 /* PTRACE_ATTACH */, 1, 0, 0);
    printf("ESCAPED: ptrace was answered with %ld\n", answer);
    return 66;
#else
    puts("not for this machine");
    return 1;
#endif
}
