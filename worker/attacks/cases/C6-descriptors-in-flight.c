// Tries: thousands of open files that no process holds, in flight inside sockets that are in flight themselves.
// Seen: unix(7): the reason for the limit of descriptors in flight; CVE-2013-4312.
// Must: a refusal or the memory limit stops it, and the kernel's collector finds all of it afterwards.
// Case: row=C6 expect=limit:memory|held limits=open_files:1024
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
static int pass(int socket, const int *passed, int count) {
    char space[CMSG_SPACE(200 * sizeof(int))] = {0}, byte = 'x';
    struct iovec one = {&byte, 1};
    struct msghdr message = {.msg_iov = &one, .msg_iovlen = 1, .msg_control = space, .msg_controllen = CMSG_SPACE(count * sizeof(int))};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET, header->cmsg_type = SCM_RIGHTS, header->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(header), passed, count * sizeof(int));
    return sendmsg(socket, &message, MSG_DONTWAIT) >= 0;
}
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    long in_flight = 0;
    for (int round = 0; round < 300; round++) {
        int pair[2], files[200], sent = 1;
        if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair)) break;
        for (int n = 0; n < 200; n++) files[n] = open("/work", O_TMPFILE | O_RDWR, 0600);
        if (files[199] < 0 || !pass(pair[0], files, 200)) sent = 0;
        for (int n = 0; n < 200; n++) if (files[n] >= 0) close(files[n]);
        if (!sent || !pass(pair[0], pair, 2)) break;
        close(pair[0]), close(pair[1]);
        in_flight += 202;
    }
    if (in_flight > 50000) { printf("ESCAPED: %ld descriptors in flight\n", in_flight); return 66; }
    printf("HELD: refused after %ld\n", in_flight);
    return 0;
}
