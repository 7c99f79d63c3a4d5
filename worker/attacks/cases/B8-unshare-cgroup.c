// Tries: a cgroup namespace, to see its groups from their root and mount them.
// Seen: CVE-2022-0492: unshare -UrmC, then mount.
// Must: the sandbox ends at the first call, and the outcome names it.
// Case: row=B8 expect=forbidden:unshare
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    int answer = unshare(CLONE_NEWCGROUP);
    printf("ESCAPED: unshare answered %d\n", answer);
    char line[512] = "";
    if (read(open("/proc/self/cgroup", O_RDONLY), line, sizeof line - 1) > 0) printf("ESCAPED: %s\n", line);
    return 66;
}
