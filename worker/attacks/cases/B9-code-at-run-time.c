// Tries: makes code at run time in the profile that has none: writable pages made executable, by every call that could.
// Seen: the last step of most exploits; W^X policies and their holes (memfd, MAP_SHARED twice, remap).
// Must: each is refused or unknown; only files can be executed.
// Case: row=B9 expect=held profile=strict layer=seccomp
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <unistd.h>
static int bad(const char *what) { printf("ESCAPED: %s\n", what); return 66; }
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    char *page = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return 1;
    if (mmap(0, 4096, PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED) return bad("mmap");
    if (mmap(0, 4096, PROT_EXEC, MAP_SHARED | MAP_ANONYMOUS, -1, 0) != MAP_FAILED) return bad("mmap, shared");
    if (mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0) return bad("mprotect");
    if (syscall(SYS_mprotect, page, 4096, PROT_EXEC | 1L << 32) == 0) return bad("mprotect with garbage above");
    if (syscall(SYS_pkey_mprotect, page, 4096, PROT_READ | PROT_EXEC, -1) == 0) return bad("pkey_mprotect");
    if (syscall(SYS_memfd_create, "m", 0) != -1 || errno != ENOSYS) return bad("memfd_create");
    if (syscall(SYS_remap_file_pages, page, 4096, PROT_EXEC, 0, 0) == 0) return bad("remap_file_pages");
    if (personality(READ_IMPLIES_EXEC) != -1) return bad("personality");
    puts("HELD");
    return 0;
}
