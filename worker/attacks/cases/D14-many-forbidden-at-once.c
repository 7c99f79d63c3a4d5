// Tries: hides which forbidden call it made: many processes make different ones in the same moment, while the main one ends well.
// Seen: supervisors that report the last event, or none when the process is gone.
// Must: the outcome names one of them, and not the exit status 0.
// Case: row=D14 expect=forbidden:ptrace,mount,bpf,keyctl
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    const long calls[] = {SYS_ptrace, SYS_mount, SYS_bpf, SYS_keyctl};
    int gate[2];
    char byte;
    if (pipe(gate)) return 1;
    for (int n = 0; n < 16; n++)
        if (!fork()) {
            close(gate[1]);
            if (read(gate[0], &byte, 1) == 0) syscall(calls[n % 4], 0, 0, 0, 0, 0);
            for (;;) pause();
        }
    close(gate[1]);
    usleep(100000);
    _exit(0);
}
