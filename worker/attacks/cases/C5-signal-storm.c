// Tries: buries itself and its children in signals: fast timers, queues of real-time signals, each handler sending more.
// Seen: CVE-2022-0487's kin of unbounded queues; judges that count on SIGCHLD.
// Must: the CPU or wall limit ends it; the queue is bounded.
// Case: row=C5 expect=limit:cpu|limit:wall limits=cpu:500ms,wall:2s
#define _GNU_SOURCE
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>
static void more(int number) {
    union sigval value = {.sival_int = number};
    for (int n = SIGRTMIN; n <= SIGRTMAX; n++) sigqueue(getpid(), n, value);
}
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    struct itimerval fast = {{0, 1}, {0, 1}};
    for (int n = 1; n < 65; n++) signal(n, more);
    for (int which = 0; which < 3; which++) setitimer(which, &fast, 0);
    for (int n = 0; n < 3; n++) fork();
    for (;;) { kill(0, SIGUSR1); more(SIGUSR2); }
}
