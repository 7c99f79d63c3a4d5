// Tries: a socket of every family, type and a few protocols, one at a time and in pairs.
// Seen: Judge0 CVE-2024-29021; CVE-2017-7308 (AF_PACKET), CVE-2024-1086 (AF_NETLINK), CVE-2017-6074 (DCCP).
// Must: none but AF_UNIX.
// Case: row=A3 expect=held start layer=seccomp
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_RDM, SOCK_SEQPACKET, SOCK_DCCP, SOCK_PACKET};
    const int protocols[] = {0, 1, 6, 17, 132, 255};
    for (int family = 0; family < 64; family++)
        for (unsigned type = 0; type < 7; type++)
            for (unsigned protocol = 0; protocol < 6; protocol++) {
                int pair[2];
                if (family == AF_UNIX) continue;
                if (socket(family, types[type], protocols[protocol]) >= 0 || socketpair(family, types[type] | SOCK_CLOEXEC, protocols[protocol], pair) == 0) {
                    printf("ESCAPED: family %d, type %d, protocol %d\n", family, types[type], protocols[protocol]);
                    return 66;
                }
            }
    puts("HELD");
    return 0;
}
