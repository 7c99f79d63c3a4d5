// Tries: a POSIX message queue, which is a file system of its own and counted for nobody.
// Seen: isolate's and DMOJ's syscall lists; mq_overview(7): queues live as long as the kernel.
// Must: there is no such call, and no file system of queues.
// Case: row=A8 expect=held beside layer=seccomp
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    errno = 0;
    if (syscall(SYS_mq_open, "meeting", O_CREAT | O_RDWR | O_EXCL, 0666, 0) >= 0 || errno != ENOSYS) { printf("ESCAPED: mq_open, errno %d\n", errno); return 66; }
    if (syscall(SYS_mq_unlink, "meeting") == 0) { puts("ESCAPED: another's queue"); return 66; }
    if (open("/dev/mqueue", O_PATH) >= 0) { puts("ESCAPED: /dev/mqueue"); return 66; }
    puts("HELD");
    return 0;
}
