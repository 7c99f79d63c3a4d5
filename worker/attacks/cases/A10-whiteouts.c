// Tries: the one device anybody may make, 0:0, which overlays take for "deleted" and archivers for a device; and the other kinds.
// Seen: overlayfs CVE-2023-0386, CVE-2021-3493 and kin; mknod(2): 0:0 needs no privilege since Linux 5.8.
// Must: no device at all comes into being, also where the whole root is writable.
// Case: row=A10 expect=held profile=build takes=/work/white:missing
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    const char *places[] = {"/work/white", "/tmp/white", "/dev/shm/white", "/etc/white", "/usr/bin/white", "/white"};
    for (unsigned n = 0; n < 6; n++) {
        int made = mknod(places[n], S_IFCHR | 0666, 0) == 0 || mknodat(AT_FDCWD, places[n], S_IFCHR, makedev(1, 3)) == 0
            || mknod(places[n], S_IFBLK | 0666, makedev(8, 0)) == 0;
        if (made) { printf("ESCAPED: %s\n", places[n]); return 66; }
    }
    puts("HELD");
    return 0;
}
