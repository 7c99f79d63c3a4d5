// Tries: an ipc namespace, whose queues and segments start with fresh limits.
// Seen: CVE-2022-0185's neighbours in ipc/; SysV memory beyond a limit per namespace.
// Must: the sandbox ends at the first call, and the outcome names it.
// Case: row=B8 expect=forbidden:unshare
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <sys/shm.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    int answer = unshare(CLONE_NEWIPC);
    printf("ESCAPED: unshare answered %d\n", answer);
    printf("ESCAPED: a segment %d\n", shmget(IPC_PRIVATE, 1 << 20, 0600));
    return 66;
}
