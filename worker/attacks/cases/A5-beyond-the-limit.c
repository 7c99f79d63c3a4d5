// Tries: finds descriptors above the limit of open files, and says what each of its own leads to.
// Seen: go-judge 0.9.5 to 1.1.4, retracted; runc CVE-2024-21626 (a descriptor numbered 7 or 8).
// Must: 0, 1 and 2 are pipes of its own; no other number up to 2^20 is open, /proc says the same.
// Case: row=A5 expect=held
#define _GNU_SOURCE
#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    struct stat status;
    for (int fd = 0; fd < 3; fd++)
        if (fstat(fd, &status) || !(S_ISFIFO(status.st_mode))) { printf("ESCAPED: %d is no pipe\n", fd); return 66; }
    DIR *all = opendir("/proc/self/fd");
    if (!all) { puts("not tried: no /proc/self/fd"); return 1; }
    for (struct dirent *entry; (entry = readdir(all));)
        if (atoi(entry->d_name) > 2 && atoi(entry->d_name) != dirfd(all)) { printf("ESCAPED: /proc shows %s\n", entry->d_name); return 66; }
    for (int fd = 3; fd < 1 << 20; fd = fd < 1024 ? fd + 1 : fd + 4093)
        if (fd != dirfd(all) && dup(fd) >= 0) { printf("ESCAPED: %d is open\n", fd); return 66; }
    puts("HELD");
    return 0;
}
