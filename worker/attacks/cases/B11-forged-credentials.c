// Tries: tells a peer that it is root or pid 1 (SCM_CREDENTIALS), and sets socket options that need privileges.
// Seen: CVE-2013-1979 (credentials over a socket); D-Bus and systemd trust them.
// Must: the kernel refuses; what the peer is told is the truth.
// Case: row=B11 expect=held
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
static ssize_t claim(int socket, struct ucred claimed) {
    char space[CMSG_SPACE(sizeof claimed)] = {0}, byte = 'x';
    struct iovec one = {&byte, 1};
    struct msghdr message = {.msg_iov = &one, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET, header->cmsg_type = SCM_CREDENTIALS, header->cmsg_len = CMSG_LEN(sizeof claimed);
    memcpy(CMSG_DATA(header), &claimed, sizeof claimed);
    return sendmsg(socket, &message, 0);
}
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    int pair[2], on = 1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) || setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on)) return 1;
    if (claim(pair[0], (struct ucred){getpid(), 0, getgid()}) >= 0 || claim(pair[0], (struct ucred){1, getuid(), getgid()}) >= 0) { puts("ESCAPED: another's name"); return 66; }
    const int forced[] = {SO_RCVBUFFORCE, SO_SNDBUFFORCE, SO_MARK, SO_DEBUG};
    for (int n = 0; n < 4; n++) if (setsockopt(pair[0], SOL_SOCKET, forced[n], &on, sizeof on) == 0) { printf("ESCAPED: option %d\n", forced[n]); return 66; }
    if (claim(pair[0], (struct ucred){getpid(), getuid(), getgid()}) != 1) { puts("not tried: not even the truth"); return 1; }
    puts("HELD");
    return 0;
}
