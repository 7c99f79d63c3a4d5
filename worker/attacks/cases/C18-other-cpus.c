// Tries: runs where it was not put: another CPU, another memory node, from threads, and moves its neighbours' pages.
// Seen: judges that pin jobs to cores for fair times; CVE-2018-5332's kin in move_pages.
// Must: its set of CPUs and its memory policy stay as given.
// Case: row=C18 expect=held layer=seccomp
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    cpu_set_t given, now, wanted;
    unsigned long nodes = 3;
    void *page = &nodes;
    int status = 0, node = 1;
    sched_getaffinity(0, sizeof given, &given);
    for (int cpu = 0; cpu < 128; cpu++) {
        CPU_ZERO(&wanted);
        CPU_SET(cpu, &wanted);
        if (sched_setaffinity(0, sizeof wanted, &wanted) == 0) { printf("ESCAPED: chose CPU %d\n", cpu); return 66; }
    }
    memset(&wanted, 255, sizeof wanted);
    if (syscall(SYS_sched_setaffinity, 0, sizeof wanted, &wanted) >= 0 || syscall(SYS_sched_setaffinity, 1, sizeof wanted, &wanted) >= 0) { puts("ESCAPED: all CPUs"); return 66; }
    sched_getaffinity(0, sizeof now, &now);
    if (!CPU_EQUAL(&given, &now)) { puts("ESCAPED: another set"); return 66; }
    if (syscall(SYS_set_mempolicy, 2, &nodes, 64) == 0 || syscall(SYS_mbind, (unsigned long)page & ~4095UL, 4096, 2, &nodes, 64, 2) == 0
        || syscall(SYS_migrate_pages, 0, 64, &nodes, &nodes) >= 0 || syscall(SYS_move_pages, 0, 1, &page, &node, &status, 2) >= 0) { puts("ESCAPED: memory policy"); return 66; }
    puts("HELD");
    return 0;
}
