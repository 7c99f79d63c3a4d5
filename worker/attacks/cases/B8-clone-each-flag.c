// Tries: clone with each namespace flag, alone, with threads' flags, and with garbage in the upper half; what is born says what it got.
// Seen: CVE-2022-0185, CVE-2018-18955; filters that compared the whole flag word.
// Must: each is refused, and no child is born.
// Case: row=B8 expect=held layer=seccomp
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    const unsigned long kinds[] = {CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWPID, CLONE_NEWIPC, CLONE_NEWUTS, CLONE_NEWCGROUP};
    const unsigned long others[] = {SIGCHLD, CLONE_VFORK | SIGCHLD, CLONE_UNTRACED | SIGCHLD, CLONE_IO, SIGCHLD | 1UL << 33, CLONE_NEWUSER | SIGCHLD, 0};
    for (int kind = 0; kind < 7; kind++)
        for (int other = 0; other < 7; other++) {
            errno = 0;
            long child = syscall(SYS_clone, kinds[kind] | others[other], 0, 0, 0, 0);
            if (child == 0) _exit(0);
            if (child > 0 || errno != EPERM) { printf("ESCAPED: flags %lx answered %ld, errno %d\n", kinds[kind] | others[other], child, errno); return 66; }
        }
    puts("HELD");
    return 0;
}
