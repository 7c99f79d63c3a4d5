// Tries: performance counters: of itself, of a whole CPU, of tracepoints, and breakpoints; a clock finer than any other.
// Seen: CVE-2013-2094, CVE-2023-5717; side channels by counters.
// Must: each is refused as on a host that forbids it.
// Case: row=B11 expect=held layer=seccomp
#define _GNU_SOURCE
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    for (unsigned type = 0; type < 8; type++)
        for (int target = 0; target < 3; target++) {
            struct perf_event_attr event = {.type = type, .size = sizeof event, .exclude_kernel = target == 0, .exclude_hv = 1};
            errno = 0;
            long counter = syscall(SYS_perf_event_open, &event, target == 1 ? -1 : 0, target == 0 ? -1 : 0, -1, 0);
            if (counter >= 0 || errno != EPERM) { printf("ESCAPED: type %u answered %ld, errno %d\n", type, counter, errno); return 66; }
        }
    puts("HELD");
    return 0;
}
