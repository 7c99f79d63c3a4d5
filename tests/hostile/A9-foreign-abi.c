// Tries: system calls through another ABI, whose numbers the filter does not know: argument "i386" or "x32".
// Seen: isolate NEWS 2.6.
// Must: the sandbox is killed and the outcome names the ABI and the call.
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv) {
    long answer = 0;
    if (argc > 1 && !strcmp(argv[1], "x32")) answer = syscall(0x40000000 + 39); /* getpid */
    else __asm__ volatile("int $0x80" : "=a"(answer) : "a"(20) : "memory"); /* getpid */
    printf(answer > 0 ? "ESCAPED: %ld\n" : "the call failed: %ld\n", answer);
    return answer > 0 ? 66 : 0;
}
