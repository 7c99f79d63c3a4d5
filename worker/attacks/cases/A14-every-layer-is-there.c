// Tries: runs on although a layer of the sandbox is missing: looks for each of them where the kernel tells.
// Seen: go-judge#151, bazel#26062: limits silently not applied.
// Must: no capability, no new privileges, a filter, own ids, own root, no way to see a parent.
// Case: row=A14 expect=held start layer=seccomp
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
static int bad(const char *what) { printf("ESCAPED: %s\n", what); return 66; }
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    char line[128] = "", host[64] = "";
    struct rlimit core = {9, 9};
    FILE *map = fopen("/proc/self/uid_map", "r");
    if (!map || !fgets(line, sizeof line, map) || strstr(line, "4294967295")) return bad("no user namespace");
    if (getuid() == 0 || geteuid() == 0 || getgid() == 0) return bad("root");
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) return bad("new privileges");
    for (int capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++)
        if (prctl(PR_CAPBSET_READ, capability, 0, 0, 0) == 1) return bad("a capability in the bounding set");
    if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != 2) return bad("no filter");
    if (getppid() != 0 || getpid() > 3) return bad("no pid namespace");
    if (gethostname(host, sizeof host) || strcmp(host, "kiln")) return bad("no uts namespace");
    if (open("/etc/new", O_CREAT | O_WRONLY, 0600) >= 0 || (errno != EACCES && errno != EROFS)) return bad("the root can be written");
    errno = 0;
    if (syscall(SYS_io_uring_setup, 0, 0) != -1 || errno != ENOSYS) return bad("another filter");
    if (getrlimit(RLIMIT_CORE, &core) || core.rlim_max > 1) return bad("core dumps");
    puts("HELD");
    return 0;
}
