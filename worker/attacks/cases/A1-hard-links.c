// Tries: hard links to files that are not its own, by path, by descriptor and by /proc/self/fd, to have them chowned later.
// Seen: Judge0 CVE-2024-28189; Linux' own reason for fs.protected_hardlinks.
// Must: no link to an image's or the host's file comes into being.
// Case: row=A1 expect=held args={canary_file} takes=/work/hard:missing
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
int main(int argc, char **argv) {
    const char *sources[] = {argc > 1 ? argv[1] : "/nothing", "/etc/passwd", "/usr/bin/env", "/dev/null", "/proc/self/exe", "/proc/self/status"};
    for (unsigned n = 0; n < 6; n++) {
        char by_number[64];
        int file = open(sources[n], O_PATH);
        snprintf(by_number, sizeof by_number, "/proc/self/fd/%d", file);
        int made = link(sources[n], "/work/hard") == 0 || linkat(file, "", AT_FDCWD, "/work/hard", AT_EMPTY_PATH) == 0
            || (file >= 0 && linkat(AT_FDCWD, by_number, AT_FDCWD, "/work/hard", AT_SYMLINK_FOLLOW) == 0);
        struct stat here, there;
        // A link to its own program, which lies in /work, is no news.
        if (made && stat("/work/hard", &there) == 0 && stat("/work", &here) == 0 && here.st_dev != there.st_dev) { printf("ESCAPED: linked %s\n", sources[n]); return 66; }
        unlink("/work/hard");
    }
    puts("HELD");
    return 0;
}
