// Tries: makes namespaces of its own, which opens kernel code that only root reached before. Argument: the call.
// Seen: CVE-2022-0185, CVE-2018-18955.
// Must: clone and clone3 are refused; unshare and setns end the sandbox, and the outcome names them.
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <fcntl.h>
#include <unistd.h>
int main(int argc, char **argv) {
    const char *call = argc > 1 ? argv[1] : "clone";
    const int flags[] = {CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWPID, CLONE_NEWIPC, CLONE_NEWUTS, CLONE_NEWCGROUP};
    long answer = -1;
    for (unsigned n = 0; n < 7 && answer < 0; n++) {
        uint64_t arguments[8] = {flags[n], 0, 0, 0, SIGCHLD};
        if (!strcmp(call, "clone")) answer = syscall(SYS_clone, flags[n] | SIGCHLD, 0, 0, 0, 0);
        if (!strcmp(call, "clone3")) answer = syscall(SYS_clone3, arguments, sizeof(uint64_t) * 8);
        if (!strcmp(call, "unshare")) answer = syscall(SYS_unshare, flags[n]);
        if (!strcmp(call, "setns")) answer = syscall(SYS_setns, open("/proc/self/ns/user", O_RDONLY), 0);
        if (answer == 0 && strstr(call, "clone")) _exit(66);
    }
    printf(answer >= 0 ? "ESCAPED: %s\n" : "HELD: %s\n", call);
    return answer >= 0 ? 66 : 0;
}
