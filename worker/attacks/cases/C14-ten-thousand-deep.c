// Tries: a directory ten thousand levels deep, with a file at its end, for a collector or a cleaner that recurses.
// Seen: every judge that deletes recursively; rm's own stack overflows.
// Must: the job ends at once; its depth costs nobody anything.
// Case: row=C14 expect=held limits=inodes:20000,memory:128M takes=/work/d:not_regular,/work/d/d/d/d:not_regular
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    if (chdir("/work")) return 1;
    int depth = 0;
    int file = mkdir("d", 0700) ? -1 : open("d/end", O_CREAT | O_WRONLY, 0600);
    // Built from its end, so that no path is ever long.
    while (depth < 10000 && mkdir("x", 0700) == 0 && rename("d", "x/d") == 0 && rename("x", "d") == 0) depth++;
    // Without rights on the way, for a cleaner that is not root.
    if (chdir("/work/d/d/d/d/d/d/d/d") == 0 && chmod(".", 0)) return 1;
    printf(depth == 10000 && file >= 0 ? "HELD\n" : "not tried: %d deep\n", depth);
    return depth < 10000 || file < 0;
}
