// Tries: makes /proc writable again by a remount, and lifts its masks by mounting over them.
// Seen: runc CVE-2025-52881; CVE-2022-0492's first step.
// Must: the sandbox ends, and the outcome names the call.
// Case: row=B4 expect=forbidden:mount
#include <stdio.h>
#include <sys/mount.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    int answers[] = {mount(0, "/proc", 0, MS_REMOUNT | MS_BIND, 0), mount("proc", "/proc", "proc", 0, "hidepid=0"), mount("/work", "/proc", 0, MS_BIND | MS_REC, 0)};
    printf("ESCAPED: mount answered %d, %d, %d\n", answers[0], answers[1], answers[2]);
    return 66;
}
