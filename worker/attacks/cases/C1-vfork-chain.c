// Tries: a chain of vforks, each child in its parent's memory and each parent stuck in the kernel.
// Seen: vfork(2): the parent waits where only SIGKILL reaches it.
// Must: the pids limit stops it, and the stuck ones die with it.
// Case: row=C1 expect=limit:pids
#define _GNU_SOURCE
#include <unistd.h>
static void (*volatile again)(void);
static void deeper(void) {
    volatile char own[512];
    own[0] = 1;
    if (vfork() == 0) { again(); _exit(own[0]); }
    for (;;) pause();
}
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    again = deeper;
    deeper();
    return 0;
}
