// Tries: watches the machine, and so other jobs, by sysinfo(2): load, number of processes, free memory of the host.
// Seen: attacks on judges that time their neighbours; the same numbers as /proc/loadavg and /proc/meminfo.
// Must: the call tells nothing of processes outside the sandbox.
// Case: row=D4 expect=held
#include <stdio.h>
#include <sys/sysinfo.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    struct sysinfo machine = {0};
    if (sysinfo(&machine) == 0 && machine.procs > 4) {
        printf("ESCAPED: %u processes, load %lu, %lu free\n", machine.procs, machine.loads[0], machine.freeram);
        return 66;
    }
    puts("HELD");
    return 0;
}
