// Tries: climbs out by the working directory, by descriptors, and by /proc/self/fd and /proc/PID/{cwd,root}.
// Seen: runc CVE-2024-21626.
// Must: every way up ends at the sandbox's own root.
// Case: row=B2 expect=held args={canary_file}
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
static struct stat root;
static int outside(const char *how, const char *canary) {
    struct stat here;
    char up[512] = "";
    for (int n = 0; n < 40; n++) if (chdir("..")) break;
    if (stat(".", &here) == 0 && (here.st_ino != root.st_ino || here.st_dev != root.st_dev)) { printf("ESCAPED: %s: another root\n", how); return 1; }
    snprintf(up, sizeof up, "../../../../../../../..%s", canary);
    if (access(up, F_OK) == 0) { printf("ESCAPED: %s: the canary\n", how); return 1; }
    return 0;
}
int main(int argc, char **argv) {
    const char *canary = argc > 1 ? argv[1] : "/nothing";
    stat("/", &root);
    if (outside("the working directory", canary)) return 66;
    for (int fd = 0; fd < 1024; fd++) {
        char path[64];
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        if (fchdir(fd) == 0 && outside("a descriptor", canary)) return 66;
        if (chdir(path) == 0 && outside(path, canary)) return 66;
    }
    for (int pid = 1; pid < 64; pid++)
        for (int n = 0; n < 2; n++) {
            char path[64];
            snprintf(path, sizeof path, "/proc/%d/%s", pid, n ? "cwd" : "root");
            if (pid != getpid() && chdir(path) == 0 && outside(path, canary)) return 66;
        }
    puts("HELD");
    return 0;
}
