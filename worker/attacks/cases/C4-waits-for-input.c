// Tries: waits for input that never comes: it holds the writing end of its own stdin, and of a pipe to itself.
// Seen: every judge; a program that waits for input looks like one that computes.
// Must: the wall limit ends it.
// Case: row=C4 expect=limit:wall limits=wall:700ms
#include <fcntl.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    char byte;
    int ends[2], own = open("/dev/stdin", O_RDWR);
    if (own < 0 && pipe(ends) == 0) own = ends[0];
    while (read(own, &byte, 1) >= 0) {}
    return 1;
}
