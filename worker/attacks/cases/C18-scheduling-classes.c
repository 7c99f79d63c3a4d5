// Tries: better treatment by the newer scheduling calls, for itself, its threads, its group, its user: deadline, idle, utilisation hints, autogroups.
// Seen: sched_setattr(2), newer than most lists; autogroup as a way around nice.
// Must: each is refused, and it runs as it began.
// Case: row=C18 expect=held layer=seccomp
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    const uint32_t policies[] = {0, 1, 2, 3, 5, 6, 7};
    for (int n = 0; n < 7; n++) {
        struct { uint32_t size, policy; uint64_t flags; int32_t nice; uint32_t priority; uint64_t runtime, deadline, period; uint32_t low, high; } wanted =
            {56, policies[n], n % 2 ? 0x60 : 0, n ? 0 : -5, policies[n] == 1 || policies[n] == 2, 10000000, 20000000, 20000000, 1024, 1024};
        if (syscall(SYS_sched_setattr, 0, &wanted, 0) == 0) { printf("ESCAPED: policy %u\n", policies[n]); return 66; }
        struct sched_param parameter = {(int)wanted.priority};
        if (syscall(SYS_sched_setscheduler, 0, policies[n] | 0x40000000, &parameter) == 0 || sched_setparam(0, &parameter) == 0) { printf("ESCAPED: scheduler %u\n", policies[n]); return 66; }
    }
    if (setpriority(PRIO_PGRP, 0, -1) == 0 || setpriority(PRIO_USER, 0, -1) == 0 || nice(-1) != -1) { puts("ESCAPED: priority"); return 66; }
    if (syscall(SYS_ioprio_set, 2, 0, 1 << 13) == 0 || syscall(SYS_ioprio_set, 3, getuid(), 3 << 13) == 0) { puts("ESCAPED: I/O priority"); return 66; }
    if (open("/proc/self/autogroup", O_WRONLY) >= 0) { puts("ESCAPED: autogroup"); return 66; }
    puts(sched_getscheduler(0) == SCHED_OTHER && getpriority(PRIO_PROCESS, 0) == 0 ? "HELD" : "ESCAPED: it runs otherwise");
    return sched_getscheduler(0) != SCHED_OTHER;
}
