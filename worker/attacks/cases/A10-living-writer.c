// Tries: a FIFO as output whose other end is held open by a process in a session of its own, so that opening it succeeds.
// Seen: isolate 057c58c: the collector hung on a FIFO.
// Must: it comes back as "not a regular file", at once, and the writer is gone.
// Case: row=A10 expect=held limits=wall:3s takes=/work/out:not_regular,/work/dir/out:not_regular
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    if (mkfifo("/work/out", 0666) || mkdir("/work/dir", 0755) || mkfifo("/work/dir/out", 0666)) return 1;
    int ready[2];
    char byte;
    if (pipe(ready)) return 1;
    if (!fork()) {
        setsid();
        for (int n = 1; n < 65; n++) signal(n, SIG_IGN);
        int one = open("/work/out", O_RDWR), two = open("/work/dir/out", O_RDWR);
        if (write(ready[1], "x", 1) != 1) _exit(1);
        while (write(one, "drip", 4) > 0) if (write(two, "drip", 4) < 0) break;
        for (;;) pause();
    }
    if (read(ready[0], &byte, 1) != 1) return 1;
    puts("HELD");
    return 0;
}
