/*
 * broken RULE... -- PROGRAM ARGUMENT...: runs a program, and everything it starts, on a kernel of which a part is broken.
 *
 * A rule is CALL, conditions and an action, separated by commas:
 *   prctl,0==38,return=0          the call pretends to have worked
 *   landlock_create_ruleset,2==1,return=1
 *   fsopen,0~overlay,return=-19   argument 0 is this string
 *   clone3,*&0x40000000,strip=0x40000000   *: the 64 bits that argument 0 points at; the bits are taken away and the call is made
 *   unshare,0&0x40000000,return=-1
 * Conditions: N==VALUE, N!=VALUE, N&MASK (a common bit), N~TEXT. All must hold; the first rule that does is taken.
 *
 * It is a tracer (ptrace(2)), and stops only at the calls of its rules: a filter in the program sends those here
 * (SECCOMP_RET_TRACE). Exits as the program did, when everything that it started has ended.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

#ifndef __x86_64__
#error "registers are those of x86-64"
#endif

#define MOST 16

struct condition { char argument, sign; uint64_t value; const char *text; };
struct rule { long call; int conditions; struct condition condition[4]; int strips; int64_t value; };

static struct rule rules[MOST];
static int count;

static const struct { const char *name; long number; } calls[] = {
    {"capset", SYS_capset}, {"clone3", SYS_clone3}, {"close_range", SYS_close_range}, {"fcntl", SYS_fcntl},
    {"fsconfig", SYS_fsconfig}, {"fsmount", SYS_fsmount}, {"fsopen", SYS_fsopen},
    {"landlock_add_rule", SYS_landlock_add_rule}, {"landlock_create_ruleset", SYS_landlock_create_ruleset},
    {"landlock_restrict_self", SYS_landlock_restrict_self}, {"memfd_create", SYS_memfd_create},
    {"mount_setattr", SYS_mount_setattr}, {"move_mount", SYS_move_mount}, {"open_tree", SYS_open_tree},
    {"pivot_root", SYS_pivot_root}, {"prctl", SYS_prctl}, {"prlimit64", SYS_prlimit64}, {"seccomp", SYS_seccomp},
    {"setgroups", SYS_setgroups}, {"sethostname", SYS_sethostname}, {"setns", SYS_setns}, {"setresgid", SYS_setresgid},
    {"setresuid", SYS_setresuid}, {"setsid", SYS_setsid}, {"umount2", SYS_umount2}, {"unshare", SYS_unshare},
};

static void fail(const char *what)
{
    fprintf(stderr, "broken: %s: %s\n", what, strerror(errno));
    exit(99);
}

static void parse(char *text)
{
    struct rule *rule = &rules[count++];
    int acts = 0;
    char *word = strtok(text, ",");
    rule->call = -1;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (!strcmp(word, calls[i].name)) rule->call = calls[i].number;
    if (rule->call < 0 || count == MOST) { fprintf(stderr, "broken: no rule for %s\n", word); exit(99); }
    while ((word = strtok(NULL, ","))) {
        if (!strncmp(word, "return=", 7)) { rule->value = strtoll(word + 7, NULL, 0); acts = 1; continue; }
        if (!strncmp(word, "strip=", 6)) { rule->value = strtoll(word + 6, NULL, 0); rule->strips = acts = 1; continue; }
        struct condition *condition = &rule->condition[rule->conditions++];
        condition->argument = word[0];
        condition->sign = word[1];
        int skip = word[1] == '=' || word[1] == '!' ? 3 : 2;
        if (word[1] == '~') condition->text = word + skip;
        else condition->value = strtoull(word + skip, NULL, 0);
    }
    if (!acts) { fprintf(stderr, "broken: a rule without an action\n"); exit(99); }
}

static uint64_t argument(const struct user_regs_struct *r, int n)
{
    const unsigned long long all[6] = {r->rdi, r->rsi, r->rdx, r->r10, r->r8, r->r9};
    return all[n];
}

static int text_is(pid_t pid, uint64_t at, const char *text)
{
    char read[64] = "";
    struct iovec to = {read, strlen(text) + 1}, from = {(void *)at, strlen(text) + 1};
    return process_vm_readv(pid, &to, 1, &from, 1, 0) == (ssize_t)to.iov_len && !strcmp(read, text);
}

static int holds(const struct condition *c, pid_t pid, const struct user_regs_struct *r)
{
    uint64_t value = c->argument == '*' ? (uint64_t)ptrace(PTRACE_PEEKDATA, pid, r->rdi, 0)
                                        : argument(r, c->argument - '0');
    switch (c->sign) {
    case '=': return value == c->value;
    case '!': return value != c->value;
    case '&': return (value & c->value) != 0;
    default: return text_is(pid, value, c->text);
    }
}

static void act(pid_t pid, const struct rule *rule, struct user_regs_struct *r)
{
    if (rule->strips) {
        if (r->orig_rax == SYS_clone3) {
            uint64_t flags = ptrace(PTRACE_PEEKDATA, pid, r->rdi, 0);
            ptrace(PTRACE_POKEDATA, pid, r->rdi, flags & ~(uint64_t)rule->value);
        } else {
            r->rdi &= ~(uint64_t)rule->value;
            ptrace(PTRACE_SETREGS, pid, 0, r);
        }
        return;
    }
    /* No call is made, and this is its result (__secure_computing of the kernel: a number of -1 is skipped). */
    r->orig_rax = -1;
    r->rax = rule->value;
    ptrace(PTRACE_SETREGS, pid, 0, r);
}

static void called(pid_t pid)
{
    struct user_regs_struct r;
    if (ptrace(PTRACE_GETREGS, pid, 0, &r)) return;
    for (int i = 0; i < count; i++) {
        if (rules[i].call != (long)r.orig_rax) continue;
        int all = 1;
        for (int j = 0; j < rules[i].conditions; j++) all = all && holds(&rules[i].condition[j], pid, &r);
        if (all) { act(pid, &rules[i], &r); return; }
    }
}

/* One load, one comparison per rule, allow, trace. */
static void filter(void)
{
    struct sock_filter program[MOST + 3] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))};
    for (int i = 0; i < count; i++)
        program[1 + i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, rules[i].call, count - i, 0);
    program[1 + count] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    program[2 + count] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
    struct sock_fprog all = {count + 3, program};
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &all)) fail("load the filter");
}

static void run(char **argv, const int *go)
{
    char byte;
    close(go[1]);
    if (read(go[0], &byte, 1) != 1) fail("wait for the tracer");
    filter();
    execvp(argv[0], argv);
    fail(argv[0]);
}

static int follow(pid_t program)
{
    int status, result = 98;
    for (;;) {
        pid_t pid = waitpid(-1, &status, __WALL);
        if (pid < 0) return result;
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            if (pid == program) result = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            continue;
        }
        int signal = WSTOPSIG(status), event = status >> 16, request = PTRACE_CONT;
        if (event == PTRACE_EVENT_SECCOMP) called(pid);
        if (event == PTRACE_EVENT_STOP && signal != SIGTRAP) request = PTRACE_LISTEN;
        ptrace(request, pid, 0, event ? 0 : signal);
    }
}

int main(int argc, char **argv)
{
    int at = 1, go[2];
    for (; at < argc && strcmp(argv[at], "--"); at++) parse(argv[at]);
    if (at + 1 >= argc || !count) { fprintf(stderr, "usage: broken RULE... -- PROGRAM ARGUMENT...\n"); return 99; }
    if (pipe(go)) fail("pipe");
    pid_t program = fork();
    if (program < 0) fail("fork");
    if (!program) run(argv + at + 1, go);
    long options = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |
                   PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
    if (ptrace(PTRACE_SEIZE, program, 0, options)) fail("trace");
    if (write(go[1], "x", 1) != 1) fail("start");
    close(go[1]);
    close(go[0]);
    return follow(program);
}
