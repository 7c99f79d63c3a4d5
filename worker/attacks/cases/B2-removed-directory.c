// Tries: stands in directories that no longer exist, and goes up from there by path, by descriptor and by getcwd.
// Seen: runc CVE-2024-21626: "(unreachable)" working directories; getcwd(3).
// Must: there is no way up from nowhere but to its own root.
// Case: row=B2 expect=held args={canary_file}
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
int main(int argc, char **argv) {
    const char *canary = argc > 1 ? argv[1] : "/nothing", *places[] = {"/work/gone", "/tmp/gone", "/dev/shm/gone"};
    for (int n = 0; n < 3; n++) {
        char deep[64], here[4096], up[512] = "..";
        snprintf(deep, sizeof deep, "%s/deeper", places[n]);
        if (mkdir(places[n], 0755) || mkdir(deep, 0755) || chdir(deep) || rmdir(deep) || rmdir(places[n])) return 1;
        if (getcwd(here, sizeof here) && here[0] != '/') { printf("ESCAPED: stands at %s\n", here); return 66; }
        for (int level = 0; level < 12; level++) {
            char path[1024];
            snprintf(path, sizeof path, "%s%s", up, canary);
            if (open(path, O_RDONLY) >= 0) { printf("ESCAPED: %s\n", path); return 66; }
            strcat(up, "/..");
        }
        if (openat(AT_FDCWD, "new", O_CREAT | O_WRONLY, 0600) >= 0) { puts("ESCAPED: a file in a directory that is gone"); return 66; }
    }
    puts("HELD");
    return 0;
}
