// Tries: has pid 1 killed or confused so that its own end is never told: floods of orphans, of signals, and stopped children to reap.
// Seen: sandboxes whose pid 1 is the supervisor; PID 1 that reaps in a signal handler.
// Must: pid 1 goes on reaping; the outcome is the program's own end.
// Case: row=D10 expect=exit:9 limits=pids:512
#define _GNU_SOURCE
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    for (int n = 0; n < 300; n++) {
        if (!fork()) {
            // Its child becomes pid 1's, dead or stopped.
            if (!fork()) { if (n % 20 == 0) kill(getpid(), SIGSTOP); _exit(n & 127); }
            _exit(0);
        }
        wait(0);
        for (int number = 1; number < 65; number++) kill(1, number);
    }
    usleep(20000);
    return 9;
}
