// Tries: a uts namespace, and takes the name of another machine.
// Seen: The list of flags that Docker's and systemd's filters refuse.
// Must: the sandbox ends at the first call, and the outcome names it.
// Case: row=B8 expect=forbidden:unshare
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    int answer = unshare(CLONE_NEWUTS);
    printf("ESCAPED: unshare answered %d\n", answer);
    printf("ESCAPED: renamed, %d\n", sethostname("victim", 6));
    return 66;
}
