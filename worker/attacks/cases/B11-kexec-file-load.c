// Tries: the same by files, as loaders do since Linux 3.17.
// Seen: Docker's list; filters that knew kexec_load only.
// Must: the sandbox ends, and the outcome names the call.
// Case: row=B11 expect=forbidden:kexec_file_load
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    int program = open("/usr/bin/env", O_RDONLY);
    long answer = syscall(SYS_kexec_file_load, program, -1, 0, 0, 1 | 4);
    printf("ESCAPED: kexec_file_load answered %ld\n", answer);
    return 66;
}
