// Tries: process options that reach into the kernel or beside the sandbox: memory layout, tracer, core scheduling, merging of pages, dispatch of calls.
// Seen: PR_SET_MM in checkpoint tools; "memory deduplication" side channels (PR_SET_MEMORY_MERGE); PR_SCHED_CORE's cookies between processes.
// Must: each answers as on a kernel that does not know it.
// Case: row=B11 expect=held layer=seccomp
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <sys/prctl.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    const struct { int option; unsigned long arguments[4]; } all[] = {
        {PR_SET_MM, {7, 0x1000, 0, 0}}, {PR_SET_PTRACER, {-1UL, 0, 0, 0}}, {62 /* PR_SCHED_CORE */, {1, 0, 0, 0}}, {62, {3, 1, 0, 0}},
        {67 /* PR_SET_MEMORY_MERGE */, {1, 0, 0, 0}}, {59 /* PR_SET_SYSCALL_USER_DISPATCH */, {0, 0, 0, 0}}, {57 /* PR_SET_IO_FLUSHER */, {1, 0, 0, 0}},
        {PR_SET_SECUREBITS, {1, 0, 0, 0}}, {PR_MCE_KILL, {1, 1, 0, 0}}, {PR_TASK_PERF_EVENTS_DISABLE, {0, 0, 0, 0}}, {PR_SET_TSC, {PR_TSC_SIGSEGV, 0, 0, 0}},
        {PR_SET_TIMING, {PR_TIMING_TIMESTAMP, 0, 0, 0}}, {PR_SET_ENDIAN, {0, 0, 0, 0}}, {65 /* PR_SET_MDWE */, {1, 0, 0, 0}}, {PR_SET_SPECULATION_CTRL, {0, 2, 0, 0}}, {PR_SET_UNALIGN, {1, 0, 0, 0}}};
    for (unsigned n = 0; n < sizeof all / sizeof *all; n++) {
        errno = 0;
        const unsigned long *given = all[n].arguments;
        if (prctl(all[n].option, given[0], given[1], given[2], given[3]) != -1 || errno != EINVAL) { printf("ESCAPED: option %d, errno %d\n", all[n].option, errno); return 66; }
    }
    puts("HELD");
    return 0;
}
