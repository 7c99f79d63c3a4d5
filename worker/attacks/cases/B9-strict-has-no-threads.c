// Tries: threads and sockets in the profile that has none: by the library, by raw clone, by a shared address space.
// Seen: judges that allow one thread, and count by the library's calls.
// Must: no second thread runs and no socket is made; processes are counted as ever.
// Case: row=B9 expect=held profile=strict layer=seccomp
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
static volatile int ran;
static void *run(void *unused) { ran = 1; return unused; }
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    pthread_t thread;
    int pair[2];
    if (pthread_create(&thread, 0, run, 0) == 0) pthread_join(thread, 0);
    if (ran) { puts("ESCAPED: a thread ran"); return 66; }
    errno = 0;
    if (syscall(SYS_clone, CLONE_VM | CLONE_SIGHAND | CLONE_THREAD | 1L << 40, 0, 0, 0, 0) != -1 || errno != EPERM) { puts("ESCAPED: clone"); return 66; }
    for (int family = 0; family < 46; family++)
        if (socket(family, SOCK_DGRAM, 0) >= 0 || socketpair(family, SOCK_STREAM, 0, pair) == 0) { printf("ESCAPED: family %d\n", family); return 66; }
    puts("HELD");
    return 0;
}
