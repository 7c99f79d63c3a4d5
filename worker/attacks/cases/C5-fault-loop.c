// Tries: catches its own faults and returns to them, for ever: it neither crashes nor computes.
// Seen: judges that end on the first SIGSEGV; handlers on an alternate stack.
// Must: the CPU limit ends it.
// Case: row=C5 expect=limit:cpu limits=cpu:500ms
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
static void again(int number) { (void)number; }
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536};
    struct sigaction action = {.sa_handler = again, .sa_flags = SA_ONSTACK | SA_NODEFER};
    sigaltstack(&stack, 0);
    for (int n = 1; n < 65; n++) sigaction(n, &action, 0);
    int *volatile nowhere = (int *)8;
    for (;;) *nowhere = 1;
}
