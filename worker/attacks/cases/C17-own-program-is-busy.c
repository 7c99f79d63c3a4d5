// Tries: finds out whether somebody still has its program open for writing, which would make executing it fail at random.
// Seen: ETXTBSY races of services that write a program, fork and execute (Go issue 22315).
// Must: it can be executed again at once, by everybody, and not be written while it runs.
// Case: row=C17 expect=held
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    char *nothing[] = {"hostile", 0};
    for (int n = 0; n < 20; n++) {
        int status = 0, quiet = open("/dev/null", O_WRONLY);
        if (!fork()) {
            dup2(quiet, 1), dup2(quiet, 2);
            execv("/proc/self/exe", nothing);
            _exit(errno == ETXTBSY ? 166 : 167);
        }
        close(quiet);
        if (wait(&status) < 0 || (WIFEXITED(status) && WEXITSTATUS(status) >= 166)) { printf("ESCAPED: it could not be executed, status %x\n", status); return 66; }
    }
    if (open("/proc/self/exe", O_WRONLY) >= 0) { puts("ESCAPED: it can be written while it runs"); return 66; }
    puts("HELD");
    return 0;
}
