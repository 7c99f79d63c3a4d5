// Tries: makes the read-only root writable, with devices and set-user-id, for the whole tree in one call.
// Seen: mount_setattr(2) since Linux 5.12; runc CVE-2023-25809's kin of wrong mount flags.
// Must: the sandbox ends, and the outcome names the call.
// Case: row=B9 expect=forbidden:mount_setattr
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    uint64_t attributes[4] = {0, 1 | 2 | 4 | 8 /* RDONLY, NOSUID, NODEV, NOEXEC */, 0, 0};
    long answer = syscall(442, AT_FDCWD, "/", AT_RECURSIVE, attributes, sizeof attributes);
    printf("ESCAPED: mount_setattr answered %ld, writing answered %d\n", answer, open("/etc/new", O_CREAT | O_WRONLY, 0600));
    return 66;
}
