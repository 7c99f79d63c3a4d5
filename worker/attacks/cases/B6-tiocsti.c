// Tries: types into the terminal that the service may have been started from.
// Seen: bubblewrap CVE-2017-5226; CVE-2023-28100; the 64-bit variant of snapd CVE-2019-7303.
// Must: there is no terminal, and the call is refused.
// Case: row=B6 expect=held layer=seccomp start
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void) {
    if (open("/dev/tty", O_RDWR) >= 0 || open("/dev/console", O_RDWR) >= 0) { puts("ESCAPED: a terminal"); return 66; }
    for (int fd = 0; fd < 3; fd++) {
        if (isatty(fd)) { puts("ESCAPED: a terminal as standard stream"); return 66; }
        if (syscall(SYS_ioctl, fd, TIOCSTI, "x") == 0 || errno != EPERM) { puts("ESCAPED: TIOCSTI was not filtered"); return 66; }
        if (syscall(SYS_ioctl, fd, TIOCSTI | (1UL << 32), "x") == 0 || errno != EPERM) { puts("ESCAPED: 64-bit TIOCSTI"); return 66; }
    }
    puts("HELD");
    return 0;
}
