// Tries: ioctls of consoles and terminals on its streams: paste, redirect, discipline, stealing the controlling terminal.
// Seen: snapd CVE-2023-1523, flatpak CVE-2023-28100 (TIOCLINUX); CVE-2021-3609's kin (TIOCSETD).
// Must: input to a terminal is refused by the filter, whatever the upper half holds; the rest finds no terminal.
// Case: row=B6 expect=held layer=seccomp
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    char paste[] = {3, 0};
    const unsigned long filtered[] = {TIOCLINUX, TIOCSETD, TIOCSTI}, others[] = {TIOCSCTTY, TIOCCONS, TIOCNOTTY, TIOCSPGRP, 0x5607 /* VT_DISALLOCATE */, 0x4b4e /* KDSIGACCEPT */};
    for (int fd = 0; fd < 3; fd++) {
        for (int n = 0; n < 3; n++)
            for (int high = 0; high < 3; high++) {
                errno = 0;
                if (syscall(SYS_ioctl, fd, filtered[n] | (unsigned long)high << 33, paste) != -1 || errno != EPERM) { printf("ESCAPED: %lx on %d, errno %d\n", filtered[n], fd, errno); return 66; }
            }
        for (int n = 0; n < 6; n++)
            if (syscall(SYS_ioctl, fd, others[n], 1) == 0) { printf("ESCAPED: %lx on %d\n", others[n], fd); return 66; }
    }
    puts("HELD");
    return 0;
}
