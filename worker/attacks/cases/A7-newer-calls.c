// Tries: the canary by every newer way to a file that an old path filter would not know.
// Seen: go-sandbox 962773e: a filter by ptrace did not know openat2 and faccessat2.
// Must: no call reaches it, known to the filter or not.
// Case: row=A7 expect=held args={canary_file}
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
    const char *path = argc > 1 ? argv[1] : "/nothing";
    char data[4096];
    struct open_how plain = {.flags = O_RDONLY}, in_root = {.flags = O_RDONLY, .resolve = RESOLVE_IN_ROOT}, by_path = {.flags = O_PATH};
    int root = open("/", O_PATH), up = open("/work", O_PATH);
    const long answers[] = {
        syscall(SYS_openat2, AT_FDCWD, path, &plain, sizeof plain), syscall(SYS_openat2, up, path, &in_root, sizeof in_root),
        syscall(SYS_openat2, root, path, &by_path, sizeof by_path), syscall(439 /* faccessat2 */, AT_FDCWD, path, F_OK, AT_EACCESS),
        syscall(452 /* fchmodat2 */, AT_FDCWD, path, 0666, 0), syscall(SYS_statx, AT_FDCWD, path, 0, STATX_ALL, data),
        syscall(SYS_execveat, AT_FDCWD, path, 0, 0, 0), syscall(463 /* setxattrat */, AT_FDCWD, path, 0, "user.x", data, 16),
        syscall(464 /* getxattrat */, AT_FDCWD, path, 0, "user.x", data, 16), syscall(468 /* file_getattr */, AT_FDCWD, path, data, 24, 0),
        syscall(SYS_name_to_handle_at, AT_FDCWD, path, data, data + 2048, 0), syscall(SYS_utimensat, AT_FDCWD, path, 0, 0),
        syscall(SYS_renameat2, AT_FDCWD, path, AT_FDCWD, "/work/stolen", 0), syscall(SYS_linkat, AT_FDCWD, path, AT_FDCWD, "/work/stolen", AT_SYMLINK_FOLLOW),
    };
    for (unsigned n = 0; n < sizeof answers / sizeof *answers; n++)
        if (answers[n] >= 0) { printf("ESCAPED: way %u answered %ld\n", n, answers[n]); return 66; }
    puts("HELD");
    return 0;
}
