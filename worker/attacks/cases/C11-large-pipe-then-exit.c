// Tries: makes the pipe as large as it gets, fills it, and ends at once, so that most of the flood is read after its end.
// Seen: services that stop counting when the process has ended.
// Must: the last bytes count too: the outcome is the output limit.
// Case: row=C11 expect=limit:output limits=output:256K
#define _GNU_SOURCE
#include <fcntl.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    static char block[1 << 20];
    fcntl(1, F_SETPIPE_SZ, 1 << 20);
    fcntl(1, F_SETFL, O_NONBLOCK);
    if (write(1, block, sizeof block) < 1 << 16) return 1;
    for (int n = 0; n < 100; n++) if (write(1, block, sizeof block) < 0) usleep(100);
    _exit(0);
}
