// Tries: exchanges the root with a directory of its own.
// Seen: CVE-2024-21626's neighbours; pivot_root(2).
// Must: the sandbox ends, and the outcome names the call.
// Case: row=B11 expect=forbidden:pivot_root
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    mkdir("/work/old", 0755);
    long answer = syscall(SYS_pivot_root, "/work", "/work/old");
    printf("ESCAPED: pivot_root answered %ld\n", answer);
    return 66;
}
