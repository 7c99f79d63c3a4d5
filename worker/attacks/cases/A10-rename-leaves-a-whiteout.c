// Tries: has a rename leave a device 0:0 behind (RENAME_WHITEOUT), which neither mknod's filter nor Landlock's MAKE_CHAR sees.
// Seen: overlayfs CVE-2023-0386 and kin; renameat2(2): whiteouts need no privilege since Linux 5.8.
// Must: no device comes into being; the output is missing, not a device.
// Case: row=A10 expect=held takes=/work/file:any
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    struct stat left;
    close(open("/work/file", O_CREAT | O_WRONLY, 0644));
    renameat2(AT_FDCWD, "/work/file", AT_FDCWD, "/work/moved", RENAME_WHITEOUT);
    if (stat("/work/file", &left) == 0 && !S_ISREG(left.st_mode)) { printf("ESCAPED: a device, mode %o\n", left.st_mode); return 66; }
    puts("HELD");
    return 0;
}
