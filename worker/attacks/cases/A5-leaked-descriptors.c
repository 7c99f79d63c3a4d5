// Tries: finds descriptors that leaked from the service or from other sandboxes made at the same time.
// Seen: go-judge 0.9.5 to 1.1.4, retracted; runc CVE-2024-21626.
// Must: 0, 1 and 2 are open, to pipes or files of its own, and nothing else.
// Case: row=A5 expect=held start
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(void) {
    int found = 0;
    for (int fd = 3; fd < 1024; fd++)
        if (fcntl(fd, F_GETFD) != -1) { printf("ESCAPED: descriptor %d is open\n", fd); found = 1; }
    for (int fd = 0; fd < 3; fd++) {
        char path[64], target[512] = "";
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        if (readlink(path, target, sizeof target - 1) > 0 && (!strncmp(target, "socket:", 7) || strstr(target, "pts")))
            { printf("ESCAPED: %d is %s\n", fd, target); found = 1; }
    }
    puts(found ? "" : "HELD");
    return found ? 66 : 0;
}
