// Tries: sleeps whenever the timer tick comes, so that sampled accounting sees it idle.
// Seen: "Secretly Monopolizing the CPU Without Superuser Privileges" (USENIX Security 2007).
// Must: time is counted exactly: the CPU limit ends it.
// Case: row=C3 expect=limit:cpu limits=cpu:300ms,wall:5s
#include <time.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    struct timespec short_nap = {0, 50000}, begin, now;
    for (;;) {
        clock_gettime(CLOCK_MONOTONIC, &begin);
        do clock_gettime(CLOCK_MONOTONIC, &now);
        while ((now.tv_sec - begin.tv_sec) * 1000000000 + now.tv_nsec - begin.tv_nsec < 900000);
        nanosleep(&short_nap, 0);
    }
}
