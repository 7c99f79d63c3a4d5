// Tries: personalities that weaken memory protection or change what the kernel says, and then what they would allow.
// Seen: CVE-2009-1895 (MMAP_PAGE_ZERO kept over set-user-id programs); systemd's LockPersonality.
// Must: only Linux' own personality, with or without address randomisation; page zero cannot be mapped.
// Case: row=B11 expect=held layer=seccomp
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    const unsigned long wanted[] = {READ_IMPLIES_EXEC, MMAP_PAGE_ZERO, ADDR_COMPAT_LAYOUT, ADDR_LIMIT_3GB, ADDR_LIMIT_32BIT, PER_LINUX32, PER_SVR4, PER_BSD, UNAME26, SHORT_INODE,
        STICKY_TIMEOUTS, ADDR_NO_RANDOMIZE | READ_IMPLIES_EXEC, ADDR_NO_RANDOMIZE | MMAP_PAGE_ZERO, 1UL << 32 | PER_LINUX32};
    for (unsigned n = 0; n < sizeof wanted / sizeof *wanted; n++)
        if (syscall(SYS_personality, wanted[n]) != -1) { printf("ESCAPED: personality %lx\n", wanted[n]); return 66; }
    if (mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED) { puts("ESCAPED: page zero"); return 66; }
    if (personality(0xffffffff) & ~ADDR_NO_RANDOMIZE) { puts("ESCAPED: another personality"); return 66; }
    puts("HELD");
    return 0;
}
