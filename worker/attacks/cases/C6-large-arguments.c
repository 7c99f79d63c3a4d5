// Tries: memory as arguments and environment of programs: children that execute with megabytes of strings and then sleep.
// Seen: meters that look at heaps; execve(2): up to 6 MiB of strings each.
// Must: the memory limit counts it.
// Case: row=C6 expect=limit:memory limits=pids:64 needs=sleep
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    static char *strings[64];
    for (int n = 0; n < 40; n++) {
        strings[n] = malloc(100001);
        memset(strings[n], 'x', 100000), strings[n][100000] = 0;
    }
    for (int n = 0; n < 40; n++) {
        char *program[] = {"sleep", "1000", 0};
        if (!fork()) { execve("/bin/sleep", program, strings); execve("/usr/bin/sleep", program, strings); _exit(1); }
        usleep(20000);
    }
    if (waitpid(-1, 0, WNOHANG) != 0) { puts("not tried: nothing was executed"); return 1; }
    puts("ESCAPED: 160 MB of strings");
    return 66;
}
