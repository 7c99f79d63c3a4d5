// Tries: stops every process it can see, itself too, from several sessions, to outlive a timeout by process group.
// Seen: piston issue 196, langfuse issue 15955.
// Must: the wall limit ends all of it.
// Case: row=A12 expect=limit:wall limits=wall:1s
#define _GNU_SOURCE
#include <signal.h>
#include <sys/types.h>
#include <unistd.h>
int main(void) {
    for (int n = 0; n < 4; n++)
        if (!fork()) { setsid(); for (int s = 1; s < 65; s++) signal(s, SIG_IGN); for (;;) { kill(-1, SIGSTOP); pause(); } }
    for (int s = 1; s < 65; s++) signal(s, SIG_IGN);
    kill(0, SIGSTOP);
    kill(-1, SIGSTOP);
    for (;;) { kill(getpid(), SIGSTOP); pause(); }
}
