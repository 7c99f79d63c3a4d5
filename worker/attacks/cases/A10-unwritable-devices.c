// Tries: makes the one device node that needs no privilege, an overlay whiteout, and writes devices that are for reading.
// Seen: overlayfs CVE-2023-0386 and kin begin with nodes in layers; isolate 057c58c on devices as files.
// Must: neither is possible: no device is made, and the random devices take no bytes.
// Case: row=A10 expect=held layer=landlock start
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
int main(void) {
    if (mknod("/work/whiteout", S_IFCHR, makedev(0, 0)) == 0) { puts("ESCAPED: made a device node"); return 66; }
    const char *paths[] = {"/dev/random", "/dev/urandom"};
    for (unsigned n = 0; n < 2; n++)
        if (open(paths[n], O_WRONLY) >= 0) { printf("ESCAPED: %s opens for writing\n", paths[n]); return 66; }
    puts("HELD");
    return 0;
}
