// Tries: sends its main process every signal from a child, hoping that one of them counts as the service's kill.
// Seen: judges that take any SIGKILL for a time-out or a memory limit.
// Must: a kill of its own making is told as that: a signal, no limit.
// Case: row=D11 expect=signal:SIGKILL
#include <signal.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    for (int n = 1; n < 65; n++) signal(n, SIG_IGN);
    if (!fork()) {
        setsid();
        // 32 and 33 are the C library's own and cannot be ignored.
        for (int n = 64; n > 0; n--) if (n != SIGKILL && n != SIGSTOP && n != 32 && n != 33) kill(getppid(), n);
        kill(getppid(), SIGKILL);
        _exit(0);
    }
    for (;;) pause();
}
