// Tries: a mount namespace, and makes the root writable and shared in it.
// Seen: runc CVE-2024-45310; every escape by remount.
// Must: the sandbox ends at the first call, and the outcome names it.
// Case: row=B8 expect=forbidden:unshare
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    int answer = unshare(CLONE_NEWNS);
    printf("ESCAPED: unshare answered %d\n", answer);
    if (mount(0, "/", 0, MS_REC | MS_SHARED, 0) == 0) puts("ESCAPED: shared the root");
    if (mount(0, "/usr", 0, MS_REMOUNT | MS_BIND, 0) == 0) puts("ESCAPED: made /usr writable");
    return 66;
}
