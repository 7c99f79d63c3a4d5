// Tries: finds what else a process inherits: blocked and ignored signals, timers, a terminal, a session, priorities, a dump limit.
// Seen: piston and isolate: jobs that started with SIGPIPE ignored, or in the service's session.
// Must: all is as in a new login; the session is its own.
// Case: row=A5 expect=held
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>
static int bad(const char *what) { printf("ESCAPED: %s\n", what); return 66; }
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    sigset_t blocked;
    sigprocmask(SIG_SETMASK, 0, &blocked);
    for (int number = 1; number < 65; number++) {
        struct sigaction action;
        if (sigismember(&blocked, number) == 1) return bad("a signal is blocked");
        if (sigaction(number, 0, &action) == 0 && action.sa_handler != SIG_DFL) return bad("a signal is ignored");
    }
    struct itimerval timer;
    for (int which = 0; which < 3; which++)
        if (getitimer(which, &timer) == 0 && timer.it_value.tv_sec + timer.it_value.tv_usec) return bad("a timer runs");
    int death = 0;
    prctl(PR_GET_PDEATHSIG, &death);
    if (death) return bad("a death signal is set");
    if (alarm(0)) return bad("an alarm is set");
    if (getsid(0) != getpid() || getpgrp() != getpid()) return bad("the session is not its own");
    if (getppid() != 0) return bad("the parent is in sight");
    if (getpriority(PRIO_PROCESS, 0) < 0 || sched_getscheduler(0) != SCHED_OTHER) return bad("a priority");
    puts("HELD");
    return 0;
}
