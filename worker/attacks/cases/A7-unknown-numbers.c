// Tries: every system call number that no kernel has yet, and numbers at the edges of what a filter compares.
// Seen: go-sandbox 962773e; each new kernel brings calls that a deny list does not know.
// Must: each answers ENOSYS: what is not known is not there.
// Case: row=A7 expect=held
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    const long edges[] = {0x3fffffff, 0x3ffffffe, 0x20000000, 65535, 4096, 1024};
    for (long number = 480; number < 1024; number++) {
        errno = 0;
        if (syscall(number, 0, 0, 0, 0, 0, 0) != -1 || errno != ENOSYS) { printf("ESCAPED: %ld, errno %d\n", number, errno); return 66; }
    }
    for (unsigned n = 0; n < sizeof edges / sizeof *edges; n++) {
        errno = 0;
        if (syscall(edges[n], 0, 0, 0, 0, 0, 0) != -1 || errno != ENOSYS) { printf("ESCAPED: %ld, errno %d\n", edges[n], errno); return 66; }
    }
    puts("HELD");
    return 0;
}
