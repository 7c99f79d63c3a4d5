// Tries: closes stdin, stdout and stderr at once, opens something else in their places, and goes on.
// Seen: services that take the end of the pipe for the end of the process.
// Must: the wall limit ends it.
// Case: row=C12 expect=limit:wall limits=wall:700ms
#include <fcntl.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    close(0), close(1), close(2);
    if (open("/dev/null", O_RDWR) != 0 || dup(0) != 1 || dup(0) != 2) return 1;
    for (;;) pause();
}
