// Tries: slips a family past the filter by the unused upper half of the argument register.
// Seen: snapd CVE-2019-7303: a filter compared 64 bits where the kernel uses 32.
// Must: only the half that counts is compared: no socket but AF_UNIX.
// Case: row=A3 expect=held layer=seccomp
#define _GNU_SOURCE
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    const long families[] = {AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_VSOCK, AF_ALG};
    const long highs[] = {1L << 32, 1L << 63, 0x7fffffffL << 32, (long)AF_UNIX << 32};
    for (unsigned n = 0; n < 6; n++)
        for (unsigned high = 0; high < 4; high++) {
            long made = syscall(SYS_socket, families[n] | highs[high], SOCK_DGRAM, 0);
            if (made < 0) made = syscall(SYS_socket, families[n] | highs[high], SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
            if (made >= 0) { printf("ESCAPED: family %ld with %lx above\n", families[n], highs[high]); return 66; }
        }
    if (syscall(SYS_socket, AF_UNIX | 1L << 32, SOCK_DGRAM, 0) < 0) puts("(AF_UNIX with garbage above is refused too)");
    puts("HELD");
    return 0;
}
