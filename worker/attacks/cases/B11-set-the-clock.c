// Tries: sets the machine's clock back, for cheaper seconds.
// Seen: Judges that measure wall time by the real-time clock.
// Must: the sandbox ends, and the outcome names the call.
// Case: row=B11 expect=forbidden:clock_settime
#define _GNU_SOURCE
#include <stdio.h>
#include <time.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    struct timespec then = {1, 0};
    long answer = clock_settime(CLOCK_REALTIME, &then);
    printf("ESCAPED: clock_settime answered %ld\n", answer);
    return 66;
}
