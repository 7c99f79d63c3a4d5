// Tries: raises the disk quota of its user.
// Seen: quotactl(2); judges with quotas per uid.
// Must: the sandbox ends, and the outcome names the call.
// Case: row=B11 expect=forbidden:quotactl
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/quota.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    struct dqblk limits = {0};
    long answer = quotactl(QCMD(Q_SETQUOTA, USRQUOTA), "/dev/vda", 1000, (char *)&limits);
    printf("ESCAPED: quotactl answered %ld\n", answer);
    return 66;
}
