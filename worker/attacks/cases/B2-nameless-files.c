// Tries: makes files without a name (O_TMPFILE) everywhere, and gives them one outside of its places.
// Seen: CVE-2015-2925's kin; linkat(2) with AT_EMPTY_PATH and by /proc/self/fd.
// Must: none comes into being outside /work, /tmp and /dev/shm, nor gets a name there.
// Case: row=B2 expect=held
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    const char *elsewhere[] = {"/", "/usr", "/usr/bin", "/etc", "/dev", "/proc", "/run", "/var", "/sys", "/opt"};
    int own = open("/work", O_TMPFILE | O_RDWR, 0600);
    char by_number[64], name[64];
    if (own < 0) { puts("not tried: no nameless file"); return 1; }
    snprintf(by_number, sizeof by_number, "/proc/self/fd/%d", own);
    for (int n = 0; n < 10; n++) {
        if (open(elsewhere[n], O_TMPFILE | O_RDWR, 0600) >= 0 || open(elsewhere[n], O_TMPFILE | O_RDWR | O_EXCL, 0600) >= 0) { printf("ESCAPED: a file in %s\n", elsewhere[n]); return 66; }
        snprintf(name, sizeof name, "%s/named", elsewhere[n]);
        if (linkat(own, "", AT_FDCWD, name, AT_EMPTY_PATH) == 0 || linkat(AT_FDCWD, by_number, AT_FDCWD, name, AT_SYMLINK_FOLLOW) == 0) { printf("ESCAPED: a name in %s\n", elsewhere[n]); return 66; }
    }
    puts("HELD");
    return 0;
}
