// Tries: joins a session keyring by name, which another sandbox could join too, and makes it readable for all.
// Seen: isolate NEWS 2.4; CVE-2016-0728 began with this call.
// Must: the sandbox ends, and the outcome names the call.
// Case: row=A8 expect=forbidden:keyctl
#define _GNU_SOURCE
#include <linux/keyctl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    long keyring = syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, "meeting");
    syscall(SYS_keyctl, KEYCTL_SETPERM, keyring, 0x3f3f3f3f);
    printf("ESCAPED: keyctl answered %ld\n", keyring);
    return 66;
}
