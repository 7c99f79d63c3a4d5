// Tries: learns the handles of files and mounts, with which open_by_handle_at opens them from outside.
// Seen: the "shocker" escape; name_to_handle_at without privileges since Linux 6.5 (AT_HANDLE_FID).
// Must: there is no such call.
// Case: row=B11 expect=held layer=seccomp
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    const char *paths[] = {"/", "/usr", "/etc/passwd", "/work", "/proc"};
    for (int n = 0; n < 5; n++) {
        struct { struct file_handle head; char bytes[128]; } handle = {{.handle_bytes = 128}, {0}};
        int mount;
        errno = 0;
        if (syscall(SYS_name_to_handle_at, AT_FDCWD, paths[n], &handle.head, &mount, n % 2 ? 0x200 : 0) != -1 || errno != ENOSYS) { printf("ESCAPED: %s, errno %d\n", paths[n], errno); return 66; }
    }
    puts("HELD");
    return 0;
}
