// Tries: makes descriptors that are no directories its working directory, and opens files relative to them.
// Seen: runc CVE-2024-21626; CVE-2022-0847's kin of surprising descriptors.
// Must: each is refused as no directory, or leads to the sandbox's own root.
// Case: row=B2 expect=held args={canary_file}
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
    const char *canary = argc > 1 ? argv[1] : "/nothing";
    sigset_t none = {0};
    int ends[2];
    if (pipe(ends)) return 1;
    const int all[] = {0, 1, 2, ends[0], memfd_create("m", 0), epoll_create1(0), eventfd(0, 0), signalfd(-1, &none, 0), socket(AF_UNIX, SOCK_DGRAM, 0),
        (int)syscall(SYS_pidfd_open, getpid(), 0), open("/proc/self/ns/mnt", O_RDONLY), open("/proc/self/ns/user", O_PATH), open("/proc/self/exe", O_PATH),
        open("/proc/self/root", O_PATH), open("/proc/self/cwd", O_PATH), open("/proc/self", O_PATH), open("/dev/null", O_PATH), open("/tmp", O_TMPFILE | O_RDWR, 0600)};
    for (unsigned n = 0; n < sizeof all / sizeof *all; n++) {
        char up[512];
        snprintf(up, sizeof up, "../../../../../../..%s", canary);
        if (openat(all[n], up, O_RDONLY) >= 0) { printf("ESCAPED: below descriptor %u\n", n); return 66; }
        if (fchdir(all[n]) == 0 && (access(up, F_OK) == 0 || access(canary + 1, F_OK) == 0)) { printf("ESCAPED: by descriptor %u\n", n); return 66; }
    }
    puts("HELD");
    return 0;
}
