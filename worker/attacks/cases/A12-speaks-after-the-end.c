// Tries: ends at once, leaving stopped and sleeping processes in sessions of their own that would speak a moment later.
// Seen: piston issue 196: children outlived the time-out and wrote into the next answer.
// Must: the result is complete when the main process ends; nobody speaks afterwards.
// Case: row=A12 expect=held
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    for (int n = 0; n < 8; n++)
        if (!fork()) {
            setsid();
            for (int s = 1; s < 65; s++) signal(s, SIG_IGN);
            if (n % 2) kill(getpid(), SIGSTOP);
            usleep(500000 + n * 20000);
            if (write(1, "ESCAPED: still here\n", 20) != 20) _exit(1);
            for (;;) pause();
        }
    if (write(1, "HELD\n", 5) != 5) return 1;
    _exit(0);
}
