// Tries: a core dump after undoing what forbids it: the limit by prlimit with a pointer above 4 GiB, dumpable, a filter of mappings, all signals that dump.
// Seen: apport CVE-2015-1325, abrt CVE-2015-3315, systemd-coredump CVE-2022-4415: the host's handler runs for a job.
// Must: no core, no handler; the signal is the outcome.
// Case: row=C16 expect=signal:SIGQUIT takes=/work/core:missing,/tmp/core:missing
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    const int dumping[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGSYS, SIGTRAP, SIGABRT, SIGXCPU};
    struct rlimit *high = mmap((void *)0x700000000000, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), now;
    if (high == MAP_FAILED || chdir("/tmp")) return 1;
    *high = (struct rlimit){RLIM_INFINITY, RLIM_INFINITY};
    syscall(SYS_prlimit64, 0, RLIMIT_CORE, high, 0);
    syscall(SYS_prlimit64, getpid(), RLIMIT_CORE, high, 0);
    syscall(SYS_setrlimit, RLIMIT_CORE, high);
    prctl(PR_SET_DUMPABLE, 1);
    if (getrlimit(RLIMIT_CORE, &now) || now.rlim_cur > 1) { puts("ESCAPED: the limit was raised"); return 66; }
    for (int n = 0; n < 8; n++) {
        int status = 0;
        if (!fork()) { kill(getpid(), dumping[n]); _exit(0); }
        wait(&status);
        if (WCOREDUMP(status)) { printf("ESCAPED: dumped for signal %d\n", dumping[n]); return 66; }
    }
    if (access("/tmp/core", F_OK) == 0) { puts("ESCAPED: a core file"); return 66; }
    raise(SIGQUIT);
    return 1;
}
