// Tries: makes itself the last that the kernel kills, hides from dumps, and clears accounting bits, by /proc/self and /proc/thread-self.
// Seen: jobs that survive their memory limit by having others killed; isolate's and DMOJ's masks.
// Must: no such file opens for writing, in any spelling.
// Case: row=B4 expect=held start
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    const char *names[] = {"oom_score_adj", "oom_adj", "mem", "clear_refs", "coredump_filter", "timerslack_ns", "autogroup", "uid_map", "gid_map", "setgroups",
        "projid_map", "loginuid", "sessionid", "comm", "sched", "make-it-fail", "fail-nth", "attr/exec", "attr/current", "attr/fscreate", "attr/keycreate", "attr/sockcreate",
        "timens_offsets", "latency", "pagemap"};
    char path[96];
    for (unsigned n = 0; n < sizeof names / sizeof *names; n++) {
        const char *ways[] = {"/proc/self/%s", "/proc/thread-self/%s", "/proc/self/task/../%s"};
        for (int way = 0; way < 3; way++) {
            snprintf(path, sizeof path, ways[way], names[n]);
            if (open(path, O_WRONLY) >= 0 || open(path, O_RDWR) >= 0) { printf("ESCAPED: %s\n", path); return 66; }
        }
    }
    puts("HELD");
    return 0;
}
