// Tries: overwrites the binary that made the sandbox, through /proc/PID/exe of every process it can see.
// Seen: runc CVE-2019-5736.
// Must: no such file opens for writing, and none but its own for reading.
// Case: row=B1 expect=held
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int main(void) {
    DIR *proc = opendir("/proc");
    for (struct dirent *entry; proc && (entry = readdir(proc));) {
        int pid = atoi(entry->d_name);
        if (pid <= 0) continue;
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/exe", pid);
        for (int round = 0; round < 200; round++) {
            int fd = open(path, O_RDWR);
            if (fd < 0) fd = open(path, O_WRONLY | O_TRUNC);
            if (fd >= 0) { printf("ESCAPED: %s opened for writing\n", path); return 66; }
        }
        if (pid != getpid() && open(path, O_RDONLY) >= 0) { printf("ESCAPED: %s is readable\n", path); return 66; }
    }
    puts("HELD");
    return 0;
}
