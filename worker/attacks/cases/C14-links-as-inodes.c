// Tries: fills the places without making files: hard links, links, directories, names only, long values of attributes.
// Seen: quotas of inodes that count files; tmpfs keeps a name for each link.
// Must: the limit counts names too, and attributes are someone's memory.
// Case: row=C14 expect=held|limit:memory limits=inodes:500,memory:32M
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    static char value[32768];
    char name[64];
    int made = 0, attributes = 0;
    close(open("/work/one", O_CREAT | O_WRONLY, 0600));
    for (int n = 0; n < 5000; n++) {
        snprintf(name, sizeof name, "/work/%d", n);
        made += (n % 3 == 0 ? link("/work/one", name) : n % 3 == 1 ? symlink("one", name) : mkdir(name, 0700)) == 0;
    }
    memset(value, 'v', sizeof value);
    for (int n = 0; n < 2000; n++) {
        snprintf(name, sizeof name, "user.%d", n);
        attributes += setxattr("/work/one", name, value, sizeof value, 0) == 0;
    }
    if (made > 500 || attributes >= 2000) { printf("ESCAPED: %d names, %d attributes of 32 KiB\n", made, attributes); return 66; }
    printf("HELD: %d names, %d attributes\n", made, attributes);
    return 0;
}
