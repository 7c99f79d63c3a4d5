// Tries: the canary by spellings that a comparison of paths does not see through.
// Seen: path filters of ptrace sandboxes (go-sandbox, Codeforces-like judges).
// Must: none of them leads out, however it is written.
// Case: row=A7 expect=held args={canary_file}
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv) {
    const char *path = argc > 1 ? argv[1] : "/nothing";
    const char *prefixes[] = {"", "/", "//", "/.", "/work/..", "/work/../../../..", "/proc/self/root", "/proc/self/cwd/../..", "/proc/thread-self/root",
        "/proc/self/task/../root", "/dev/fd/../../root", "/usr/bin/../../..", "/dev/../dev/../.."};
    static char spelled[8192];
    for (unsigned n = 0; n < sizeof prefixes / sizeof *prefixes; n++) {
        snprintf(spelled, sizeof spelled, "%s%s", prefixes[n], path);
        if (access(spelled, F_OK) == 0 || open(spelled, O_PATH) >= 0) { printf("ESCAPED: by %s\n", spelled); return 66; }
    }
    // As long as the kernel takes, all of it going up.
    spelled[0] = 0;
    while (strlen(spelled) + strlen(path) + 4 < 4095) strcat(spelled, "/..");
    strcat(spelled, path);
    if (open(spelled, O_RDONLY) >= 0) { puts("ESCAPED: by a very long way up"); return 66; }
    puts("HELD");
    return 0;
}
