// Tries: takes programs of other processes as O_PATH descriptors and opens those again for writing, as often as it takes.
// Seen: runc CVE-2019-5736: /proc/PID/exe, held as O_PATH until it was no longer busy.
// Must: no program but its own can be taken, and its own is busy.
// Case: row=B1 expect=held
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    char path[64];
    for (int pid = 0; pid < 300; pid++) {
        snprintf(path, sizeof path, pid ? "/proc/%d/exe" : "/proc/self/exe", pid);
        int held = open(path, O_PATH);
        if (held < 0) continue;
        if (pid != 0 && pid != getpid()) { printf("ESCAPED: %s\n", path); return 66; }
        snprintf(path, sizeof path, "/proc/self/fd/%d", held);
        for (int round = 0; round < 500; round++) {
            int again = open(path, O_WRONLY | (round % 2 ? O_TRUNC : O_APPEND));
            if (again >= 0 || (errno != ETXTBSY && errno != EROFS && errno != EACCES)) { printf("ESCAPED: %s opened for writing, errno %d\n", path, errno); return 66; }
        }
    }
    puts("HELD");
    return 0;
}
