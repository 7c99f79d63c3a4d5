// Tries: calls whose work no filter sees: io_uring, userfaultfd, and putting a filter of its own above.
// Seen: firejail issue 7058, sandlock issue 240, KSPP issue 36.
// Must: each answers as a kernel that has never heard of it.
// Case: row=B9 expect=held layer=seccomp start
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void) {
    const long calls[] = {SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register, SYS_userfaultfd, SYS_seccomp,
                          SYS_landlock_create_ruleset, SYS_clone3, SYS_memfd_secret, 999, 100000};
    char zero[256];
    memset(zero, 0, sizeof zero);
    for (unsigned n = 0; n < sizeof calls / sizeof *calls; n++) {
        errno = 0;
        long answer = syscall(calls[n], 8, zero, 0, 0, 0, 0);
        if (answer >= 0 || errno != ENOSYS) { printf("ESCAPED: call %ld answered %ld, errno %d\n", calls[n], answer, errno); return 66; }
    }
    puts("HELD");
    return 0;
}
