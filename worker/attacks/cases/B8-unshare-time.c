// Tries: a time namespace, to move the clock that a program is timed by.
// Seen: time_namespaces(7); judges that trust clocks inside.
// Must: the sandbox ends at the first call, and the outcome names it.
// Case: row=B8 expect=forbidden:unshare
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    int answer = unshare(CLONE_NEWTIME);
    printf("ESCAPED: unshare answered %d\n", answer);
    int offsets = open("/proc/self/timens_offsets", O_WRONLY);
    printf("ESCAPED: moved the clock, %zd\n", write(offsets, "monotonic 86400 0\n", 18));
    return 66;
}
