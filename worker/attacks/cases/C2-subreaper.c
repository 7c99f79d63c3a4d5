// Tries: makes itself the reaper of its descendants and lets itself be orphaned, so that no parent is known and nobody reaps.
// Seen: PR_SET_CHILD_SUBREAPER; service managers inside containers.
// Must: all of it is gone when the command is done.
// Case: row=C2 expect=held
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    for (int depth = 0; depth < 6; depth++) {
        if (fork()) {
            if (depth == 0) { usleep(200000); puts("HELD"); return 0; }
            prctl(PR_SET_CHILD_SUBREAPER, 1);
            for (;;) pause();
        }
        setsid();
        for (int s = 1; s < 65; s++) signal(s, SIG_IGN);
        prctl(PR_SET_PDEATHSIG, 0);
    }
    if (fork()) _exit(0);
    for (;;) pause();
}
