// Tries: is never the same process for long: each forks away into a new session and dies, so that whoever kills by number comes too late.
// Seen: "comet" processes; piston issue 196.
// Must: the sandbox ends as a whole when the main process does.
// Case: row=C2 expect=held limits=pids:256
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    for (int n = 0; n < 4; n++)
        if (!fork()) {
            for (int s = 1; s < 65; s++) signal(s, SIG_IGN);
            for (;;) { if (fork()) _exit(0); setsid(); usleep(500); }
        }
    usleep(300000);
    puts("HELD");
    return 0;
}
