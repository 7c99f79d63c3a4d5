// Tries: learns the path of its groups on the host, which is where an escape would begin to write.
// Seen: CVE-2022-0492's proof of concept reads it from /proc/self/cgroup and mountinfo.
// Must: each group looks like the root, and there is a namespace of its own that says so.
// Case: row=B7 expect=held start
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    char line[4096];
    int lines = 0;
    FILE *groups = fopen("/proc/self/cgroup", "r");
    while (groups && fgets(line, sizeof line, groups)) {
        char *path = strrchr(line, ':');
        lines++;
        if (!path || strcmp(path, ":/\n")) { printf("ESCAPED: %s", line); return 66; }
    }
    const char *paths[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/memory", "/cgroup", "/mnt/cgroup", "/dev/cgroup"};
    for (int n = 0; n < 7; n++) if (open(paths[n], O_PATH) >= 0) { printf("ESCAPED: %s\n", paths[n]); return 66; }
    puts(lines ? "HELD" : "not tried: no groups to read");
    return !lines;
}
