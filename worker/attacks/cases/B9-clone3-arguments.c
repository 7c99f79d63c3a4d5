// Tries: clone3 with what clone cannot: a chosen pid, another cgroup, a time namespace, signals cleared.
// Seen: KSPP issue 36, firejail issue 7058: flags behind a pointer, which no filter reads.
// Must: there is no such call, so that libraries fall back to clone.
// Case: row=B9 expect=held layer=seccomp
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    int wanted = 1, somewhere = open("/", O_PATH);
    const uint64_t flags[] = {0, 0x80 /* NEWTIME */, 0x10000000 /* NEWUSER */, 1ULL << 32 /* CLEAR_SIGHAND */, 1ULL << 33 /* INTO_CGROUP */};
    for (int n = 0; n < 5; n++) {
        uint64_t arguments[11] = {flags[n], 0, 0, 0, SIGCHLD, 0, 0, 0, (uintptr_t)&wanted, 1, somewhere};
        for (unsigned size = 64; size <= 88; size += 8) {
            errno = 0;
            long child = syscall(SYS_clone3, arguments, size);
            if (child == 0) _exit(0);
            if (child > 0 || errno != ENOSYS) { printf("ESCAPED: flags %lx answered %ld, errno %d\n", (long)flags[n], child, errno); return 66; }
        }
    }
    puts("HELD");
    return 0;
}
