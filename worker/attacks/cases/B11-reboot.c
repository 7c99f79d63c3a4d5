// Tries: restarts the machine, or the pid namespace.
// Seen: reboot(2): in a namespace it ends pid 1, with a signal of the caller's choice.
// Must: the sandbox ends, and the outcome names the call.
// Case: row=B11 expect=forbidden:reboot
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/reboot.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    long answer = reboot(RB_AUTOBOOT);
    printf("ESCAPED: reboot answered %ld\n", answer);
    return 66;
}
