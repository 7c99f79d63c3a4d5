// Tries: memory that cannot be reclaimed: locked now, locked later, locked per thread, pinned in pipes, as large pages, as segments.
// Seen: mlock in judges' deny lists; CVE-2023-3269's kin.
// Must: each is refused.
// Case: row=C18 expect=held layer=seccomp
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    char *page = mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return 1;
    if (mlock(page, 4096) == 0 || syscall(SYS_mlock2, page, 4096, 1 /* MLOCK_ONFAULT */) == 0) { puts("ESCAPED: mlock"); return 66; }
    if (mlockall(MCL_CURRENT) == 0 || mlockall(MCL_FUTURE | MCL_ONFAULT) == 0) { puts("ESCAPED: mlockall"); return 66; }
    if (mmap(0, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0) != MAP_FAILED) { puts("ESCAPED: MAP_LOCKED"); return 66; }
    if (mmap(0, 2 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0) != MAP_FAILED) { puts("ESCAPED: MAP_HUGETLB"); return 66; }
    if (syscall(SYS_memfd_create, "m", 4 /* MFD_HUGETLB */) >= 0 && mmap(0, 2 << 20, PROT_WRITE, MAP_SHARED | MAP_POPULATE, 3, 0) != MAP_FAILED) { puts("ESCAPED: huge pages of a file"); return 66; }
    int segment = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
    if (shmctl(segment, SHM_LOCK, 0) == 0 && access("/proc/self/status", R_OK) != 0) { puts("ESCAPED: SHM_LOCK"); return 66; }
    if (shmget(IPC_PRIVATE, 2 << 20, IPC_CREAT | SHM_HUGETLB | 0600) >= 0) { puts("ESCAPED: SHM_HUGETLB"); return 66; }
    puts("HELD");
    return 0;
}
