// Tries: reads what /proc and /sys tell of the kernel and of the whole machine.
// Seen: the list that Docker and Kubernetes mask, and CVE-2025-31133, by which the mask could be lifted.
// Must: none of these files is there.
// Case: row=B4 expect=held start
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    const char *paths[] = {"/proc/kcore", "/proc/kallsyms", "/proc/keys", "/proc/key-users", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
        "/proc/latency_stats", "/proc/kmsg", "/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/vm/drop_caches",
        "/proc/bus/pci/devices", "/proc/irq/default_smp_affinity", "/proc/scsi/scsi", "/proc/acpi/wakeup", "/proc/interrupts", "/proc/softirqs", "/proc/stat",
        "/proc/loadavg", "/proc/meminfo", "/proc/vmstat", "/proc/slabinfo", "/proc/diskstats", "/proc/uptime", "/proc/version", "/proc/cmdline", "/proc/config.gz",
        "/proc/modules", "/proc/mounts/../1/environ", "/proc/net/unix", "/proc/locks", "/proc/sysvipc/shm", "/proc/pressure/cpu", "/proc/kpagecount", "/proc/cpuinfo",
        "/proc/swaps", "/proc/buddyinfo", "/proc/zoneinfo", "/proc/fs/ext4", "/proc/driver", "/proc/asound", "/proc/mtrr", "/proc/vmallocinfo", "/proc/iomem",
        "/sys/firmware", "/sys/kernel", "/sys/fs", "/sys/class", "/sys/devices", "/sys/power", "/sys/module"};
    for (unsigned n = 0; n < sizeof paths / sizeof *paths; n++)
        if (open(paths[n], O_RDONLY | O_NONBLOCK) >= 0 || open(paths[n], O_PATH) >= 0) { printf("ESCAPED: %s\n", paths[n]); return 66; }
    puts("HELD");
    return 0;
}
