// Tries: signals, kills and reads the sandbox's own pid 1 and everything else it may see.
// Seen: every judge whose supervisor shares the job's uid.
// Must: pid 1 cannot be signalled or read; the result is what the program does itself.
// Case: row=D1 expect=held start
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
int main(void) {
    signal(SIGTERM, SIG_IGN);
    if (kill(1, SIGKILL) == 0 || errno != EPERM) { puts("ESCAPED: pid 1 takes signals"); return 66; }
    if (kill(1, 0) == 0) { puts("ESCAPED: pid 1 takes signals"); return 66; }
    const char *paths[] = {"/proc/1/mem", "/proc/1/environ", "/proc/1/maps", "/proc/1/fd/0", "/proc/1/root", "/proc/1/stack", "/proc/1/syscall"};
    for (unsigned n = 0; n < 7; n++)
        if (open(paths[n], O_RDONLY) >= 0) { printf("ESCAPED: %s opens\n", paths[n]); return 66; }
    for (int pid = 2; pid < 100; pid++) if (pid != getpid() && kill(pid, SIGKILL) == 0) { puts("ESCAPED: another process"); return 66; }
    puts("HELD");
    return 0;
}
