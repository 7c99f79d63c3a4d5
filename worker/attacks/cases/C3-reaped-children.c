// Tries: burns CPU in thousands of short-lived children, each too short for a meter that samples.
// Seen: every judge that looks at the living processes now and then.
// Must: the CPU limit counts all of it.
// Case: row=C3 expect=limit:cpu limits=cpu:500ms
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    for (;;) {
        if (!fork()) { while (clock() < CLOCKS_PER_SEC / 500) {} _exit(0); }
        wait(0);
    }
}
