// Tries: keeps its namespaces, mounts and files alive beyond its end: as descriptors in flight in cycles of sockets, and as mappings.
// Seen: unix(7), namespaces(7): a namespace lives as long as a descriptor of it; mounts left behind by container runtimes.
// Must: the next command starts and ends as ever, and finds nothing.
// Case: row=C15 expect=held twice
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    const char *paths[] = {"/proc/self/ns/mnt", "/proc/self/ns/net", "/proc/self/ns/pid", "/proc/self/ns/user", "/proc/self/ns/ipc", "/", "/work", "/dev/null", "/proc/self/status"};
    int passed[16], pair[2], memory = memfd_create("kept", 0);
    if (access("/work/kept", F_OK) == 0) { puts("ESCAPED: something of the one before is here"); return 66; }
    int file = open("/work/kept", O_CREAT | O_RDWR, 0600);
    if (posix_fallocate(memory, 0, 2 << 20) || posix_fallocate(file, 0, 2 << 20) || mmap(0, 2 << 20, PROT_WRITE, MAP_SHARED, file, 0) == MAP_FAILED) return 1;
    for (int round = 0; round < 4; round++) {
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) return 1;
        for (int n = 0; n < 9; n++) passed[n] = open(paths[n], n < 5 || n > 7 ? O_RDONLY : O_PATH);
        passed[9] = memory, passed[10] = file, passed[11] = pair[0], passed[12] = pair[1], passed[13] = (int)syscall(SYS_pidfd_open, getpid(), 0), passed[14] = 0, passed[15] = 1;
        char space[CMSG_SPACE(sizeof passed)] = {0}, byte = 'x';
        struct iovec one = {&byte, 1};
        struct msghdr message = {.msg_iov = &one, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET, header->cmsg_type = SCM_RIGHTS, header->cmsg_len = CMSG_LEN(sizeof passed);
        memcpy(CMSG_DATA(header), passed, sizeof passed);
        if (sendmsg(pair[0], &message, 0) < 0 || sendmsg(pair[1], &message, 0) < 0) { perror("not tried"); return 1; }
    }
    puts("HELD");
    return 0;
}
