// Tries: leaves a key in the user's keyring, where another sandbox with the same uid would find it.
// Seen: isolate NEWS 2.4; CVE-2016-0728.
// Must: the sandbox ends, and the outcome names the call.
// Case: row=A8 expect=forbidden:add_key
#define _GNU_SOURCE
#include <linux/keyctl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    long key = syscall(SYS_add_key, "user", "meeting", "hello", 5, KEY_SPEC_USER_KEYRING);
    printf("ESCAPED: add_key answered %ld\n", key);
    return 66;
}
