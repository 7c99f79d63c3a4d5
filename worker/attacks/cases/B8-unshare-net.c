// Tries: a network namespace, where it would be root over nf_tables and packet sockets.
// Seen: CVE-2024-1086, CVE-2022-32250, CVE-2017-7308: nf_tables and AF_PACKET from an own network namespace.
// Must: the sandbox ends at the first call, and the outcome names it.
// Case: row=B8 expect=forbidden:unshare
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    int answer = unshare(CLONE_NEWNET);
    printf("ESCAPED: unshare answered %d\n", answer);
    printf("ESCAPED: netlink %d, packet %d\n", socket(AF_NETLINK, SOCK_RAW, 12), socket(AF_PACKET, SOCK_RAW, 0));
    return 66;
}
