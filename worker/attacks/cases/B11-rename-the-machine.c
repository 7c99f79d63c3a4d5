// Tries: renames the machine.
// Seen: Containers that shared the host's uts namespace.
// Must: the sandbox ends, and the outcome names the call.
// Case: row=B11 expect=forbidden:sethostname
#define _GNU_SOURCE
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    long answer = sethostname("owned", 5);
    printf("ESCAPED: sethostname answered %ld\n", answer);
    return 66;
}
