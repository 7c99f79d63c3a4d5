// Tries: leaves 64-bit mode by a far return to the 32-bit code segment, and makes its calls from there.
// Seen: "Heaven's gate" in reverse; Chromium and OpenBSD closed it by filtering the ABI, not the mode.
// Must: the sandbox ends at the first call, and the outcome names the ABI.
// Case: row=A9 expect=forbidden:i386:getpid|signal:SIGSEGV
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
#ifdef __x86_64__
    // 32-bit: mov $20,%eax (getpid); int $0x80; then a far jump back to 64-bit code, which returns.
    uint8_t code[] = {0xb8, 20, 0, 0, 0, 0xcd, 0x80, 0xea, 0, 0, 0, 0, 0x33, 0, 0x48, 0xcb};
    uint8_t *low = mmap(0, 8192, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    if (low == MAP_FAILED) return 1;
    uint32_t back = (uint32_t)(uintptr_t)(low + 14);
    memcpy(code + 8, &back, 4);
    memcpy(low, code, sizeof code);
    long answer = 0;
    // The low stack holds, from its top: the way back (code segment, address), and the 32-bit code as where to return to now.
    __asm__ volatile("mov %%rsp, %%r12\n lea 8064(%1), %%rsp\n mov %%cs, %%ecx\n push %%rcx\n lea 1f(%%rip), %%rcx\n push %%rcx\n"
                     "push $0x23\n push %1\n lretq\n 1: mov %%r12, %%rsp\n"
                     : "=a"(answer) : "r"((uintptr_t)low) : "rcx", "r12", "r8", "r9", "r10", "r11", "memory", "cc");
    printf("ESCAPED: getpid was answered with %ld\n", answer);
    return 66;
#else
    puts("not for this machine");
    return 1;
#endif
}
