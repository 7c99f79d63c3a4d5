// Tries: a flood through stdout opened anew, in packets, not waiting, by every way to a pipe: none of them the one that is watched.
// Seen: judges that wrap the descriptor and not the pipe.
// Must: the output limit ends it.
// Case: row=C11 expect=limit:output
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    static char block[1 << 12];
    const char *ways[] = {"/dev/stdout", "/proc/self/fd/1", "/dev/fd/1", "/proc/thread-self/fd/1"};
    for (long n = 0;; n++) {
        int again = open(ways[n % 4], (n % 2 ? O_NONBLOCK : 0) | O_WRONLY | O_CLOEXEC);
        if (again < 0) return 1;
        if (n % 3) fcntl(again, F_SETFL, O_DIRECT | (n % 2 ? O_NONBLOCK : 0));
        while (write(again, block, sizeof block) < 0) {}
        close(again);
    }
}
