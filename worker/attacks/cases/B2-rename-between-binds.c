// Tries: climbs over a bind mount's edge: moves the directory it stands in to another bind of the same file system, then goes up.
// Seen: CVE-2015-2925 ("double-chroot" by rename): .. from a directory that left its mount's subtree.
// Must: the moves fail, and every way up ends at the sandbox's root.
// Case: row=B2 expect=held start
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    const char *binds[] = {"/work", "/tmp", "/dev/shm"};
    struct stat root, here;
    stat("/", &root);
    for (int from = 0; from < 3; from++)
        for (int to = 0; to < 3; to++) {
            char old[64], new[96];
            snprintf(old, sizeof old, "%s/a", binds[from]);
            snprintf(new, sizeof new, "%s/moved", binds[to]);
            if (from == to || mkdir(old, 0755) || chdir(old) || mkdir("deep", 0755) || chdir("deep")) continue;
            int inside = open(".", O_PATH);
            if (rename(old, new) == 0 || renameat2(AT_FDCWD, old, AT_FDCWD, new, RENAME_NOREPLACE) == 0) { printf("ESCAPED: %s moved to %s\n", old, new); return 66; }
            if (openat(inside, "../../../upper0", O_PATH) >= 0 || access("../../upper0", F_OK) == 0) { puts("ESCAPED: the tmpfs' own root"); return 66; }
            for (int n = 0; n < 20; n++) if (chdir("..")) break;
            if (stat(".", &here) || here.st_ino != root.st_ino || here.st_dev != root.st_dev) { puts("ESCAPED: another root"); return 66; }
            if (chdir("/")) return 1;
            snprintf(new, sizeof new, "%s/deep", old);
            rmdir(new), rmdir(old);
        }
    puts("HELD");
    return 0;
}
