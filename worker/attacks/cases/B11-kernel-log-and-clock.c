// Tries: reads and clears the kernel's log, and bends the machine's clock little by little.
// Seen: kernel addresses in dmesg, the first step of exploits; adjtimex in judges' deny lists.
// Must: each is refused with an error that programs know.
// Case: row=B11 expect=held layer=seccomp
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <sys/klog.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    static char log[1 << 16];
    for (int action = 0; action < 11; action++)
        if (klogctl(action, log, sizeof log) >= 0 || errno != EPERM) { printf("ESCAPED: log action %d, errno %d\n", action, errno); return 66; }
    struct timex change = {.modes = ADJ_OFFSET_SINGLESHOT, .offset = 500000}, frequency = {.modes = ADJ_FREQUENCY, .freq = 1 << 20};
    if (adjtimex(&change) >= 0 || adjtimex(&frequency) >= 0 || syscall(SYS_clock_adjtime, CLOCK_REALTIME, &change) >= 0) { puts("ESCAPED: the clock"); return 66; }
    puts("HELD");
    return 0;
}
