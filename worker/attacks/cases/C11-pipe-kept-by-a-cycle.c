// Tries: leaves the writing ends of its output in flight in a cycle of sockets, so that the reader never sees their end.
// Seen: CI runners that wait for the end of a pipe; unix(7): such a cycle outlives its processes.
// Must: the command is done when its processes are gone.
// Case: row=C11 expect=held limits=wall:4s
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    int pair[2];
    puts("HELD");
    fflush(stdout);
    for (int n = 0; n < 20; n++) {
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) return 1;
        int passed[] = {0, 1, 2, pair[0], pair[1]};
        char space[CMSG_SPACE(sizeof passed)] = {0}, byte = 'x';
        struct iovec one = {&byte, 1};
        struct msghdr message = {.msg_iov = &one, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET, header->cmsg_type = SCM_RIGHTS, header->cmsg_len = CMSG_LEN(sizeof passed);
        memcpy(CMSG_DATA(header), passed, sizeof passed);
        if (sendmsg(pair[0], &message, 0) < 0 || sendmsg(pair[1], &message, 0) < 0) return 1;
    }
    return 0;
}
