// Tries: finds any process that takes its signals: every number, all at once, by group, by thread, by queue and by descriptor.
// Seen: Landlock's documentation before ABI 6: no scope for signals; jobs that share a uid with their supervisor.
// Must: nobody outside its own family exists; pid 1 takes nothing.
// Case: row=B10 expect=held args={service_pid}
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
static int reaches(int pid, int number) {
    siginfo_t info;
    memset(&info, 0, sizeof info);
    info.si_code = SI_QUEUE;
    long descriptor = syscall(SYS_pidfd_open, pid, 0);
    return kill(pid, number) == 0 || kill(-pid, number) == 0 || syscall(SYS_tkill, pid, number) == 0 || syscall(SYS_tgkill, pid, pid, number) == 0
        || syscall(SYS_rt_sigqueueinfo, pid, number, &info) == 0 || syscall(SYS_rt_tgsigqueueinfo, pid, pid, number, &info) == 0
        || (descriptor >= 0 && syscall(SYS_pidfd_send_signal, descriptor, number, 0, 0) == 0);
}
int main(int argc, char **argv) {
    int service = argc > 1 ? atoi(argv[1]) : 4242;
    if (reaches(service, SIGKILL) || reaches(service, 0)) { puts("ESCAPED: the service"); return 66; }
    // Signal 0 to itself would be no news, and kill(-1) must name nobody at all (pid 1 and the caller are left out).
    if (reaches(1, SIGKILL) || reaches(1, 0)) { puts("ESCAPED: pid 1"); return 66; }
    if (kill(-1, SIGKILL) == 0) { puts("ESCAPED: somebody"); return 66; }
    for (int pid = 3; pid < 40000; pid++)
        if (pid != getpid() && kill(pid, 0) == 0) { printf("ESCAPED: process %d\n", pid); return 66; }
    puts("HELD");
    return 0;
}
