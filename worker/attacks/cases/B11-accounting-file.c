// Tries: has the kernel append a record of every process on the host to a file of its own.
// Seen: acct(2); CVE-2021-4197's kin of writing by the kernel.
// Must: the sandbox ends, and the outcome names the call.
// Case: row=B11 expect=forbidden:acct
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    close(open("/work/account", O_CREAT | O_WRONLY, 0600));
    long answer = acct("/work/account");
    printf("ESCAPED: acct answered %ld\n", answer);
    return 66;
}
