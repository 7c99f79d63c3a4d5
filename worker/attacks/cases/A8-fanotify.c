// Tries: listens to file events of a whole mount or file system by fanotify, also in the form for users without privileges.
// Seen: isolate NEWS 2.4 (notify as a channel); fanotify for unprivileged listeners since Linux 5.13.
// Must: there is no such call.
// Case: row=A8 expect=held layer=seccomp
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/fanotify.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    const unsigned classes[] = {FAN_CLASS_NOTIF, FAN_CLASS_NOTIF | 0x200 /* FAN_REPORT_FID */, FAN_CLASS_NOTIF | 0xe00 /* with names */};
    for (unsigned n = 0; n < 3; n++) {
        errno = 0;
        long group = syscall(SYS_fanotify_init, classes[n], O_RDONLY);
        if (group >= 0 || errno != ENOSYS) { printf("ESCAPED: class %x answered %ld, errno %d\n", classes[n], group, errno); return 66; }
        if (syscall(SYS_fanotify_mark, group, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_OPEN, AT_FDCWD, "/usr") == 0) { puts("ESCAPED: a mark"); return 66; }
    }
    puts("HELD");
    return 0;
}
