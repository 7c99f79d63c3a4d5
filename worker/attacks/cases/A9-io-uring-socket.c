// Tries: has io_uring make a socket and open a file, which no filter of system calls sees.
// Seen: isolate NEWS 2.6: io_uring made the sockets that the filter forbade.
// Must: there is no io_uring, however it is asked for.
// Case: row=A9 expect=held layer=seccomp
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    const uint32_t setups[] = {0, 1 << 1 /* SQPOLL */, 1 << 6 /* R_DISABLED */, 1 << 14 /* NO_MMAP */, 1 << 15 /* REGISTERED_FD_ONLY */};
    for (unsigned n = 0; n < 5; n++) {
        uint32_t parameters[30] = {0, 0, setups[n]};
        errno = 0;
        long ring = syscall(SYS_io_uring_setup, 8, parameters);
        if (ring >= 0 || errno != ENOSYS) { printf("ESCAPED: setup %x answered %ld, errno %d\n", setups[n], ring, errno); return 66; }
    }
    for (unsigned operation = 0; operation < 40; operation++) {
        errno = 0;
        // Registering without a ring is how IORING_REGISTER_SEND_MSG_RING and restrictions are reached.
        if (syscall(SYS_io_uring_register, -1, operation, 0, 0) != -1 || errno != ENOSYS) { printf("ESCAPED: register %u, errno %d\n", operation, errno); return 66; }
    }
    puts("HELD");
    return 0;
}
