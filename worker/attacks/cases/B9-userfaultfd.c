// Tries: stops the kernel in the middle of a copy: userfaultfd by call, in its form for users, and by its device.
// Seen: the tool of CVE-2021-22555, CVE-2022-2588 and most heap exploits of the kernel.
// Must: there is no such call and no such device.
// Case: row=B9 expect=held layer=seccomp
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    const int flags[] = {0, O_CLOEXEC | O_NONBLOCK, 1 /* UFFD_USER_MODE_ONLY */, 1 | O_CLOEXEC};
    for (int n = 0; n < 4; n++) {
        errno = 0;
        if (syscall(SYS_userfaultfd, flags[n]) != -1 || errno != ENOSYS) { printf("ESCAPED: flags %x, errno %d\n", flags[n], errno); return 66; }
    }
    if (open("/dev/userfaultfd", O_RDWR) >= 0) { puts("ESCAPED: the device"); return 66; }
    puts("HELD");
    return 0;
}
