// Tries: takes more of the machine than it was given: priority, policy, affinity, pinned memory.
// Seen: isolate, go-judge and DMOJ each have an issue on one of them.
// Must: each is refused.
// Case: row=C18 expect=held
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void) {
    struct sched_param highest = {.sched_priority = 50}, none = {0};
    cpu_set_t all;
    CPU_ZERO(&all);
    for (int cpu = 0; cpu < 64; cpu++) CPU_SET(cpu, &all);
    if (setpriority(PRIO_PROCESS, 0, -10) == 0) { puts("ESCAPED: priority"); return 66; }
    if (sched_setscheduler(0, SCHED_FIFO, &highest) == 0) { puts("ESCAPED: real-time"); return 66; }
    if (sched_setscheduler(0, SCHED_BATCH, &none) == 0) { puts("ESCAPED: policy"); return 66; }
    if (syscall(SYS_ioprio_set, 1, 0, 1 << 13) == 0) { puts("ESCAPED: I/O priority"); return 66; }
    if (sched_setaffinity(0, sizeof all, &all) == 0) { puts("ESCAPED: affinity"); return 66; }
    if (mlockall(MCL_CURRENT | MCL_FUTURE) == 0) { puts("ESCAPED: pinned memory"); return 66; }
    struct rlimit more = {1 << 20, 1 << 20};
    if (setrlimit(RLIMIT_NOFILE, &more) == 0) { puts("ESCAPED: more open files"); return 66; }
    puts("HELD");
    return 0;
}
