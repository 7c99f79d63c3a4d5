// Tries: stacks Landlock domains until the sandbox's own cannot be enforced for a child, and asks the kernel for its version.
// Seen: landlock(7): at most 16 layers; sandboxes that shared a layer budget with their job.
// Must: there are no such calls, and what was forbidden stays so.
// Case: row=B9 expect=held start layer=seccomp
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    uint64_t everything[3] = {0x7fff, 3, 3};
    for (int layer = 0; layer < 17; layer++) {
        errno = 0;
        long rules = syscall(444 /* landlock_create_ruleset */, everything, 8, 0);
        if (rules != -1 || errno != ENOSYS || syscall(446 /* landlock_restrict_self */, rules, 0) != -1 || errno != ENOSYS) { printf("ESCAPED: layer %d, errno %d\n", layer, errno); return 66; }
    }
    if (syscall(444, 0, 0, 1) != -1 || errno != ENOSYS) { puts("ESCAPED: it tells its version"); return 66; }
    const char *places[] = {"/new", "/etc/new", "/usr/bin/new", "/dev/new", "/run/new", "/var/new"};
    for (int n = 0; n < 6; n++) if (open(places[n], O_CREAT | O_WRONLY, 0600) >= 0) { printf("ESCAPED: wrote %s\n", places[n]); return 66; }
    puts("HELD");
    return 0;
}
