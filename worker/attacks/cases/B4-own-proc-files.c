// Tries: writes its own files in /proc, whose modes allow it: what a redirected write of a runtime would reach.
// Seen: runc CVE-2025-52881, CVE-2019-19921: writes to procfs that end elsewhere.
// Must: none opens for writing, whatever its mode: writing is for the job's own directories.
// Case: row=B4 expect=held start
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int main(void) {
    const char *paths[] = {"/proc/self/comm", "/proc/self/coredump_filter", "/proc/self/timerslack_ns", "/proc/self/oom_score_adj",
                           "/proc/self/clear_refs", "/proc/self/attr/current", "/proc/self/sched"};
    for (unsigned n = 0; n < sizeof paths / sizeof *paths; n++) {
        int file = open(paths[n], O_WRONLY);
        if (file < 0) continue;
        if (write(file, "1", 1) == 1) { printf("ESCAPED: wrote %s\n", paths[n]); return 66; }
        printf("ESCAPED: %s opens for writing (then errno %d: %s)\n", paths[n], errno, strerror(errno));
        return 66;
    }
    puts("HELD");
    return 0;
}
