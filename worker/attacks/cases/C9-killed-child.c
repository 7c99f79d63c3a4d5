// Tries: has the kernel kill a child for memory and exits 0 itself, so that the judge sees success.
// Seen: every judge that reads the exit status only.
// Must: the outcome is the memory limit, from the kernel's own counter.
// Case: row=C9 expect=limit:memory
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void) {
    if (!fork()) for (;;) memset(malloc(1 << 20), 1, 1 << 20);
    wait(0);
    return 0;
}
