// Tries: a TCP socket by i386's socketcall, one number for all of the network, whose arguments no filter can read.
// Seen: isolate NEWS 2.6; the usual hole of filters that know x86-64 only.
// Must: the sandbox ends, and the outcome names the ABI and the call.
// Case: row=A9 expect=forbidden:i386:socketcall
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
#ifdef __x86_64__
    uint32_t *low = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    if (low == MAP_FAILED) return 1;
    low[0] = 2 /* AF_INET */, low[1] = 1 /* SOCK_STREAM */, low[2] = 0;
    long answer = 0;
    __asm__ volatile("int $0x80" : "=a"(answer) : "a"(102), "b"(1 /* SYS_SOCKET */), "c"(low) : "memory");
    printf(answer >= 0 && answer < 1024 ? "ESCAPED: socket %ld\n" : "ESCAPED: socketcall was answered with %ld\n", answer);
    return 66;
#else
    puts("not for this machine");
    return 1;
#endif
}
