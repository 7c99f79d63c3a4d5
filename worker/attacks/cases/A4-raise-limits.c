// Tries: raises every limit of its process to unlimited, by three ways, for itself and for others.
// Seen: Judge0 before 1.13.0, where a limit of 0 meant none; DMOJ's and isolate's rlimit handling.
// Must: no hard limit grows.
// Case: row=A4 expect=held
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    for (int resource = 0; resource < 16; resource++) {
        struct rlimit before, after;
        getrlimit(resource, &before);
        struct rlimit more = {before.rlim_max, before.rlim_max == RLIM_INFINITY ? RLIM_INFINITY : before.rlim_max + 1};
        setrlimit(resource, &all);
        setrlimit(resource, &more);
        syscall(SYS_prlimit64, 0, resource, &all, 0);
        syscall(SYS_prlimit64, getpid(), resource, &more, 0);
        syscall(SYS_prlimit64, 1, resource, &all, 0);
        getrlimit(resource, &after);
        if (after.rlim_max > before.rlim_max || after.rlim_cur > before.rlim_max) { printf("ESCAPED: limit %d grew\n", resource); return 66; }
        if ((resource == RLIMIT_FSIZE || resource == RLIMIT_NOFILE || resource == RLIMIT_STACK) && after.rlim_max == RLIM_INFINITY) { printf("ESCAPED: limit %d is none\n", resource); return 66; }
    }
    if (syscall(SYS_prlimit64, 1, RLIMIT_NOFILE, 0, &(struct rlimit){0, 0}) == 0) { puts("ESCAPED: reads the limits of pid 1"); return 66; }
    puts("HELD");
    return 0;
}
