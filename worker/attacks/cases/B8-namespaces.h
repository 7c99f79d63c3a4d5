/* Shared by the B8 cases: one call after the other with each namespace's flag, until one succeeds. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
static int try_each_namespace(const char *name, long (*call)(int flag)) {
    const int flags[] = {CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWPID, CLONE_NEWIPC, CLONE_NEWUTS, CLONE_NEWCGROUP};
    for (unsigned n = 0; n < sizeof flags / sizeof *flags; n++)
        if (call(flags[n]) >= 0) { printf("ESCAPED: %s with flag %#x\n", name, flags[n]); return 66; }
    printf("HELD: %s\n", name);
    return 0;
}
