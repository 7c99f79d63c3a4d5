// Tries: leaves processes that hold everything open: mark files, a named memfd, sockets, their own deleted directory.
// Seen: piston issue 196; DMOJ's and CMS' left-over processes.
// Must: the next command sees no other process, by number, by /proc or by signal.
// Case: row=A13 expect=held twice
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>
int main(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[1], "second")) {
        for (int pid = 1; pid < 5000; pid++) {
            char path[64];
            snprintf(path, sizeof path, "/proc/%d/comm", pid);
            if (pid != getpid() && (kill(pid, 0) == 0 || access(path, F_OK) == 0)) { printf("ESCAPED: process %d\n", pid); return 66; }
        }
        if (kill(-1, 0) == 0 || errno != ESRCH) { puts("ESCAPED: somebody takes signals"); return 66; }
        puts("HELD");
        return 0;
    }
    for (int n = 0; n < 6; n++)
        if (!fork()) {
            setsid();
            if (fork()) _exit(0);
            for (int s = 1; s < 65; s++) signal(s, SIG_IGN);
            prctl(PR_SET_NAME, "left-behind");
            int memory = memfd_create("left-behind", 0);
            if (mkdir("/work/gone", 0755) == 0 && chdir("/work/gone") == 0) rmdir("/work/gone");
            if (ftruncate(memory, 1 << 20) || open("/tmp", O_TMPFILE | O_RDWR, 0600) < 0) _exit(1);
            for (;;) pause();
        }
    usleep(100000);
    puts("HELD");
    return 0;
}
