// Tries: never ends, and moves its own clocks: timers, alarms, timer slack, and the machine's time where it may.
// Seen: Judge0 CHANGELOG 1.13.0: a job without a wall limit ran for ever.
// Must: the wall limit is measured outside.
// Case: row=A4 expect=limit:wall limits=wall:1s
#define _GNU_SOURCE
#include <signal.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <unistd.h>
static void again(int signal) { (void)signal; alarm(1); }
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    struct timex slower = {.modes = ADJ_TICK, .tick = 9000};
    struct itimerval tick = {{0, 1000}, {0, 1000}};
    adjtimex(&slower);
    prctl(PR_SET_TIMERSLACK, 4000000000UL);
    for (int n = 1; n < 32; n++) signal(n, again);
    setitimer(ITIMER_REAL, &tick, 0);
    for (;;) pause();
}
