// Tries: becomes root: by set-uid programs, by setuid, by capabilities.
// Seen: every jail that forgets no_new_privs.
// Must: it has no capability, cannot gain one, and no set-uid bit counts.
// Case: row=D3 expect=held layer=seccomp start
#define _GNU_SOURCE
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>
int main(void) {
    char line[256];
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status)) {
        if (!strncmp(line, "Cap", 3) && strspn(strchr(line, '\t') + 1, "0") != 16) { printf("ESCAPED: %s", line); return 66; }
        if (!strncmp(line, "NoNewPrivs:", 11) && line[12] != '1') { printf("ESCAPED: %s", line); return 66; }
        if (!strncmp(line, "Seccomp:", 8) && line[9] != '2') { printf("ESCAPED: %s", line); return 66; }
        if (!strncmp(line, "Groups:", 7) && strlen(line) > 10) { printf("ESCAPED: %s", line); return 66; }
    }
    if (getuid() == 0 || geteuid() == 0) { puts("ESCAPED: uid 0"); return 66; }
    if (setuid(0) == 0 || setresuid(0, 0, 0) == 0 || setgroups(0, 0) == 0) { puts("ESCAPED: setuid"); return 66; }
    puts("HELD");
    return 0;
}
