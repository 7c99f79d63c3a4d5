// Tries: leaves daemons behind: forked twice, in sessions of their own, ignoring signals, named by an argument that becomes the length of their sleep.
// Seen: piston issue 196; every judge that kills by process group.
// Must: all are gone when the job is done, and the evidence counts them.
// Case: row=C2 expect=held
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv) {
    for (int n = 0; n < 5; n++)
        if (!fork()) {
            setsid();
            for (int s = 1; s < 65; s++) signal(s, SIG_IGN);
            if (fork()) _exit(0);
            setsid();
            close(0); close(1); close(2);
            if (argc > 1) execl("/bin/sleep", "sleep", argv[1], (char *)0);
            for (;;) pause();
        }
    usleep(300000);
    puts("HELD");
    return 0;
}
