// Tries: leaves a listening socket in flight in a cycle of sockets, where it outlives every process until the kernel's garbage collector comes.
// Seen: unix(7), SCM_RIGHTS; the reason why network namespaces are not simply reused.
// Must: the next command finds nobody at that name.
// Case: row=A13 expect=held twice
#define _GNU_SOURCE
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
static void send_to(int socket, int passed) {
    char space[CMSG_SPACE(sizeof(int))] = {0}, byte = 'x';
    struct iovec one = {&byte, 1};
    struct msghdr message = {.msg_iov = &one, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET, header->cmsg_type = SCM_RIGHTS, header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &passed, sizeof(int));
    sendmsg(socket, &message, 0);
}
int main(int argc, char **argv) {
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "\0left-behind"};
    socklen_t length = offsetof(struct sockaddr_un, sun_path) + 12;
    int server = socket(AF_UNIX, SOCK_STREAM, 0), pair[2];
    if (argc > 1 && !strcmp(argv[1], "second")) {
        if (connect(server, (struct sockaddr *)&name, length) == 0) { puts("ESCAPED: the one before answers"); return 66; }
        if (bind(server, (struct sockaddr *)&name, length) != 0) { puts("ESCAPED: the one before has the name"); return 66; }
        puts("HELD");
        return 0;
    }
    if (bind(server, (struct sockaddr *)&name, length) || listen(server, 8) || socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) return 1;
    send_to(pair[0], server), send_to(pair[0], pair[0]), send_to(pair[1], pair[1]), send_to(pair[1], 1);
    puts("HELD");
    return 0;
}
