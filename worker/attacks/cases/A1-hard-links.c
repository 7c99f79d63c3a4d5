// Tries: hard links to files that are not its own, by path, by descriptor and by /proc/self/fd, to have them chowned later.
// Seen: Judge0 CVE-2024-28189; Linux' own reason for fs.protected_hardlinks.
// Must: no link to a file of somebody else comes into being, also where the whole root is writable.
// Case: row=A1 expect=held args={canary_file} profile=build takes=/work/hard:missing
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
int main(int argc, char **argv) {
    const char *sources[] = {argc > 1 ? argv[1] : "/nothing", "/etc/passwd", "/usr/bin/env", "/dev/null", "/proc/self/status", "/proc/1/exe", "/bin"};
    const char *targets[] = {"/work/hard", "/tmp/hard", "/dev/shm/hard", "/etc/hard", "/usr/bin/hard", "/hard"};
    for (int source = 0; source < 7; source++)
        for (int target = 0; target < 6; target++) {
            char by_number[64];
            struct stat made;
            int file = open(sources[source], O_PATH | O_NOFOLLOW);
            snprintf(by_number, sizeof by_number, "/proc/self/fd/%d", file);
            if (link(sources[source], targets[target]) == 0 || linkat(file, "", AT_FDCWD, targets[target], AT_EMPTY_PATH) == 0
                || (file >= 0 && linkat(AT_FDCWD, by_number, AT_FDCWD, targets[target], AT_SYMLINK_FOLLOW) == 0)
                || (lstat(targets[target], &made) == 0 && made.st_uid != getuid())) {
                printf("ESCAPED: %s is also %s\n", sources[source], targets[target]);
                return 66;
            }
            close(file);
        }
    puts("HELD");
    return 0;
}
