// Tries: opens a host file by i386's open, whose number means fstat to a filter that looks at numbers only.
// Seen: isolate NEWS 2.6; seccomp's documentation: check the architecture first.
// Must: the sandbox ends, and the outcome names the ABI and the call.
// Case: row=A9 expect=forbidden:i386:open
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
#ifdef __x86_64__
    char *low = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    if (low == MAP_FAILED) return 1;
    strcpy(low, "/proc/1/root/etc/shadow");
    long answer = 0;
    __asm__ volatile("int $0x80" : "=a"(answer) : "a"(5), "b"(low), "c"(0), "d"(0) : "memory");
    printf("ESCAPED: open was answered with %ld\n", answer);
    return 66;
#else
    puts("not for this machine");
    return 1;
#endif
}
