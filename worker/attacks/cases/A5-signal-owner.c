// Tries: has the kernel send signals out of the sandbox, as the owner of a stream's events (F_SETOWN), and learns who owns it now.
// Seen: fcntl(2); CVE-2005-2456 and kin: signals by SIGIO past permission checks.
// Must: no process outside can be named, and none was.
// Case: row=A5 expect=held args={service_pid}
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int main(int argc, char **argv) {
    const int service = argc > 1 ? atoi(argv[1]) : 4242;
    for (int fd = 0; fd < 3; fd++) {
        struct f_owner_ex owner = {F_OWNER_TID, 0}, service_owner = {F_OWNER_PID, service};
        if (fcntl(fd, F_GETOWN_EX, &owner) == 0 && owner.pid != 0) { printf("ESCAPED: %d is owned by %d\n", fd, owner.pid); return 66; }
        if (fcntl(fd, F_SETOWN, service) == 0 || fcntl(fd, F_SETOWN, -service) == 0 || fcntl(fd, F_SETOWN_EX, &service_owner) == 0) { puts("ESCAPED: the service gets the events"); return 66; }
        // pid 1 may be named, but must never be reached: it has another uid.
        fcntl(fd, F_SETOWN, 1);
        fcntl(fd, F_SETSIG, SIGKILL);
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_ASYNC);
    }
    for (int n = 0; n < 50; n++)
        if (write(2, ".", 1) != 1) return 1;
    usleep(50000);
    puts("HELD");
    return 0;
}
