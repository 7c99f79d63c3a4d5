// Tries: hands back a program with set-user-id, set-group-id and sticky bits, for whoever runs it outside.
// Seen: Judge0 CVE-2024-28189's goal; tar extraction as root.
// Must: the file comes back as data; inside, the bits gain nothing, and its mount would ignore them.
// Case: row=A10 expect=held takes=/work/out:found
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    struct statvfs mount;
    int file = open("/work/out", O_CREAT | O_WRONLY, 0755);
    if (write(file, "#!/usr/bin/env\n", 15) != 15) return 1;
    fchmod(file, 07777);
    if (fchown(file, 0, 0) == 0) { puts("ESCAPED: gave a file to root"); return 66; }
    if (fchown(file, -1, 0) == 0) { puts("ESCAPED: gave a file to root's group"); return 66; }
    const char *places[] = {"/work", "/tmp", "/dev/shm", "/", "/usr", "/dev", "/proc"};
    for (int n = 0; n < 7; n++)
        if (statvfs(places[n], &mount) || !(mount.f_flag & ST_NOSUID)) { printf("ESCAPED: set-user-id counts in %s\n", places[n]); return 66; }
    puts("HELD");
    return 0;
}
