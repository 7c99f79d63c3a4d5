// Tries: hangs up the terminal of whoever started it.
// Seen: vhangup(2); systemd's list of privileged calls.
// Must: the sandbox ends, and the outcome names the call.
// Case: row=B11 expect=forbidden:vhangup
#define _GNU_SOURCE
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    long answer = vhangup();
    printf("ESCAPED: vhangup answered %ld\n", answer);
    return 66;
}
