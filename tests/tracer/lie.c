/*
 * lie PID exit | try: takes over a running process, as root of the host: makes it exit, or make the calls of a hostile init.
 *
 * For each call tried: its name and result, one a line. Then the process goes on where it was. Stops only its target.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef __x86_64__
#error "registers are those of x86-64"
#endif

/* Replaced by the address of the text "/work". */
#define WORK (-4711L)

static const struct { const char *name; long number, arguments[6]; } calls[] = {
    {"fork", SYS_fork, {0}},
    {"vfork-again", SYS_clone, {17, 0}},
    {"kill-everything", SYS_kill, {-1, 9}},
    {"kill-command", SYS_kill, {2, 9}},
    {"trace-command", SYS_ptrace, {PTRACE_SEIZE, 2}},
    {"open", SYS_openat, {-100, WORK, 0}},
    {"socket", SYS_socket, {1, 1, 0}},
    {"memfd", SYS_memfd_create, {WORK, 0}},
    {"pidfd", SYS_pidfd_open, {2, 0}},
    {"fd-0", SYS_dup, {0}},
    {"fd-3", SYS_dup, {3}},
    {"memory", SYS_mmap, {0, 64 << 20, 3, 0x22, -1, 0}},
    {"shared-memory", SYS_mmap, {0, 64 << 20, 3, 0x21, -1, 0}},
    {"become-root", SYS_setresuid, {0, 0, 0}},
    {"namespace", SYS_unshare, {0x10000000}},
    {"mount-namespace", SYS_unshare, {0x20000}},
    {"chroot", SYS_chroot, {WORK}},
};

static void fail(const char *what)
{
    fprintf(stderr, "lie: %s: %s\n", what, strerror(errno));
    exit(99);
}

/* Executes the `syscall` instruction that the process sleeps behind once more, with other registers. */
static long make(pid_t pid, const struct user_regs_struct *asleep, long number, const long *arguments)
{
    struct user_regs_struct r = *asleep;
    int status;
    long all[6];
    for (int i = 0; i < 6; i++) all[i] = arguments[i] == WORK ? (long)(asleep->rsp - 1024) : arguments[i];
    r.rip -= 2;
    r.orig_rax = -1;
    r.rax = number;
    r.rdi = all[0], r.rsi = all[1], r.rdx = all[2], r.r10 = all[3], r.r8 = all[4], r.r9 = all[5];
    if (ptrace(PTRACE_SETREGS, pid, 0, &r)) fail("set registers");
    do {
        if (ptrace(PTRACE_SINGLESTEP, pid, 0, 0)) fail("step");
        if (waitpid(pid, &status, __WALL) != pid) fail("wait");
        if (WIFEXITED(status) || WIFSIGNALED(status)) exit(0);
    } while (WSTOPSIG(status) != SIGTRAP || status >> 16);
    if (ptrace(PTRACE_GETREGS, pid, 0, &r)) fail("read registers");
    return (long)r.rax;
}

int main(int argc, char **argv)
{
    struct user_regs_struct asleep;
    int status;
    if (argc != 3) return 99;
    pid_t pid = atoi(argv[1]);
    if (ptrace(PTRACE_SEIZE, pid, 0, 0) || ptrace(PTRACE_INTERRUPT, pid, 0, 0)) fail("take over");
    if (waitpid(pid, &status, __WALL) != pid || !WIFSTOPPED(status)) fail("stop");
    if (ptrace(PTRACE_GETREGS, pid, 0, &asleep)) fail("read registers");
    if (!strcmp(argv[2], "exit")) make(pid, &asleep, SYS_exit_group, (const long[6]){0});
    long text;
    memcpy(&text, "/work\0\0", 8);
    ptrace(PTRACE_POKEDATA, pid, asleep.rsp - 1024, text);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        printf("%s %ld\n", calls[i].name, make(pid, &asleep, calls[i].number, calls[i].arguments));
    if (ptrace(PTRACE_SETREGS, pid, 0, &asleep) || ptrace(PTRACE_DETACH, pid, 0, 0)) fail("let go");
    return 0;
}
