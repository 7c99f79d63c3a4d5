// Tries: has the kernel start a helper on the host (/sbin/request-key) to build a key.
// Seen: request_key(2); CVE-2017-6951, CVE-2017-7472 in its code.
// Must: the sandbox ends, and the outcome names the call.
// Case: row=A8 expect=forbidden:request_key
#define _GNU_SOURCE
#include <linux/keyctl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    long key = syscall(SYS_request_key, "user", "debug:anything", "info for the helper", KEY_SPEC_PROCESS_KEYRING);
    printf("ESCAPED: request_key answered %ld\n", key);
    return 66;
}
