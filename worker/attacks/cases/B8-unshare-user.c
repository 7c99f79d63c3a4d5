// Tries: a user namespace, maps itself to root in it and mounts over /etc.
// Seen: CVE-2022-0185, CVE-2018-18955, CVE-2023-0386: all begin with this call.
// Must: the sandbox ends at the first call, and the outcome names it.
// Case: row=B8 expect=forbidden:unshare
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    int answer = unshare(CLONE_NEWUSER);
    printf("ESCAPED: unshare answered %d\n", answer);
    int map = open("/proc/self/uid_map", O_WRONLY);
    if (write(map, "0 1000 1\n", 9) == 9) printf("ESCAPED: mapped to root, %d\n", mount("/work", "/etc", 0, MS_BIND, 0));
    return 66;
}
