// Tries: mounts cgroup v1 with a release agent, which the kernel would run on the host as root.
// Seen: CVE-2022-0492, and the well-known escape from privileged containers.
// Must: the sandbox ends, and the outcome names the call.
// Case: row=B7 expect=forbidden:mount
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    mkdir("/work/groups", 0755);
    int first = mount("none", "/work/groups", "cgroup", 0, "rdma"), second = mount("none", "/work/groups", "cgroup2", 0, 0);
    printf("ESCAPED: mount answered %d and %d\n", first, second);
    return 66;
}
