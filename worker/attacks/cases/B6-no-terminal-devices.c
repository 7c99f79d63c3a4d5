// Tries: opens every device a terminal, a console, memory or the kernel's log could be behind, and makes them itself.
// Seen: bubblewrap CVE-2017-5226; runc CVE-2025-52565 (/dev/console).
// Must: none exists, none can be made.
// Case: row=B6 expect=held start
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    const struct { const char *path; unsigned major, minor; } devices[] = {
        {"/dev/tty", 5, 0}, {"/dev/console", 5, 1}, {"/dev/ptmx", 5, 2}, {"/dev/pts/ptmx", 5, 2}, {"/dev/pts/0", 136, 0}, {"/dev/tty0", 4, 0}, {"/dev/tty1", 4, 1},
        {"/dev/ttyS0", 4, 64}, {"/dev/hvc0", 229, 0}, {"/dev/vcs", 7, 0}, {"/dev/vcsu", 7, 64}, {"/dev/mem", 1, 1}, {"/dev/kmem", 1, 2}, {"/dev/port", 1, 4},
        {"/dev/kmsg", 1, 11}, {"/dev/input/event0", 13, 64}, {"/dev/uinput", 10, 223}, {"/dev/fb0", 29, 0}, {"/dev/sda", 8, 0}, {"/dev/vda", 254, 0}, {"/dev/loop0", 7, 0},
        {"/dev/loop-control", 10, 237}, {"/dev/mapper/control", 10, 236}, {"/dev/userfaultfd", 10, 126}, {"/dev/cpu/0/msr", 202, 0}};
    for (unsigned n = 0; n < sizeof devices / sizeof *devices; n++) {
        dev_t number = makedev(devices[n].major, devices[n].minor);
        if (open(devices[n].path, O_RDWR | O_NONBLOCK | O_NOCTTY) >= 0 || open(devices[n].path, O_PATH) >= 0) { printf("ESCAPED: %s\n", devices[n].path); return 66; }
        if (mknod("/work/node", S_IFCHR | 0666, number) == 0 || mknodat(AT_FDCWD, "/tmp/node", S_IFBLK | 0666, number) == 0) { printf("ESCAPED: made %s\n", devices[n].path); return 66; }
    }
    puts("HELD");
    return 0;
}
