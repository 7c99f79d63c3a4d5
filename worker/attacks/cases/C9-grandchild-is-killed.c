// Tries: has the memory taken by grandchildren that are replaced when the kernel kills them, and ends well itself.
// Seen: every judge that reads the exit status of the main process only.
// Must: the outcome is the memory limit.
// Case: row=C9 expect=limit:memory
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    signal(SIGCHLD, SIG_IGN);
    if (!fork()) {
        setsid();
        for (int n = 0; n < 20; n++) {
            pid_t child = fork();
            if (!child) for (;;) { char *more = malloc(1 << 20); if (more) memset(more, 1, 1 << 20); }
            waitpid(child, 0, 0);
        }
        _exit(0);
    }
    sleep(2);
    return 0;
}
