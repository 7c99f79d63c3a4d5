// Tries: loads a kernel module from a file in memory.
// Seen: CVE-2022-0185's last step; rootkits without a file.
// Must: the sandbox ends, and the outcome names the call.
// Case: row=B11 expect=forbidden:finit_module
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    int module = memfd_create("module", 0);
    if (write(module, "\x7f" "ELF\2\1\1", 7) != 7) return 1;
    long answer = syscall(SYS_finit_module, module, "", 3 /* ignore versions */);
    printf("ESCAPED: finit_module answered %ld\n", answer);
    return 66;
}
