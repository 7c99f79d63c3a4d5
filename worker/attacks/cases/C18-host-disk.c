// Tries: stalls the neighbours by the host's disk: flushes everything, drops caches, punishes the image's pages.
// Seen: sync(2) storms on shared hosts; posix_fadvise(DONTNEED) on shared files.
// Must: what acts on the whole host is refused.
// Case: row=C18 expect=held layer=seccomp
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    int usr = open("/usr", O_RDONLY), work = open("/work", O_RDONLY), own = open("/work/f", O_CREAT | O_RDWR, 0600);
    errno = 0;
    if (syscall(SYS_sync) == 0 || errno != EPERM) { puts("ESCAPED: sync"); return 66; }
    if (syncfs(usr) == 0 || syncfs(work) == 0) { puts("ESCAPED: syncfs"); return 66; }
    const unsigned long controls[] = {0xc0045877 /* FIFREEZE */, 0xc0045878 /* FITHAW */, 0xc0185879 /* FITRIM */, 0x1260 /* BLKGETSIZE */, 0x1261 /* BLKFLSBUF */, 0x5382 /* SCSI_IOCTL_GET_IDLUN */};
    for (int n = 0; n < 6; n++)
        if (ioctl(usr, controls[n], &errno) == 0 || ioctl(work, controls[n], &errno) == 0) { printf("ESCAPED: control %lx\n", controls[n]); return 66; }
    if (open("/proc/sys/vm/drop_caches", O_WRONLY) >= 0) { puts("ESCAPED: drops caches"); return 66; }
    if (fsync(own) != 0) { puts("not tried: not even its own file"); return 1; }
    puts("HELD");
    return 0;
}
