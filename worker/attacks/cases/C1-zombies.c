// Tries: fills the table with dead children that nobody waits for, which a count of living processes would miss.
// Seen: every judge that counts what ps shows.
// Must: the pids limit counts them.
// Case: row=C1 expect=limit:pids
#include <stdlib.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    for (;;) if (!fork()) _exit(0);
}
