# Tries: watches the machine and its other jobs by what /proc and /sys tell of all of it: load, pressure, CPU times, interrupts, frequencies, thermal zones.
# Seen: covert channels by /proc/loadavg, /proc/stat and /proc/interrupts (ContainerLeaks, DSN 2017).
# Must: nothing of the machine's statistics is there.
# Case: row=D5 expect=held
import os, sys

names = ["loadavg", "stat", "pressure/cpu", "pressure/memory", "pressure/io", "interrupts", "softirqs", "schedstat", "diskstats", "vmstat", "meminfo", "uptime",
         "locks", "zoneinfo", "net/dev", "net/sockstat", "timer_list", "sched_debug", "sys/fs/dentry-state", "sys/fs/inode-nr", "sys/fs/file-nr",
         "sys/kernel/random/entropy_avail", "sys/kernel/ns_last_pid", "self/net/dev", "self/net/unix", "self/net/netstat", "self/net/sockstat"]
paths = ["/proc/" + name for name in names] + ["/sys/class/thermal", "/sys/class/powercap", "/sys/devices/system/cpu", "/sys/fs/cgroup", "/sys/kernel/debug", "/dev/cpu/0/msr"]
own = {"/proc/self/net/dev", "/proc/self/net/unix", "/proc/self/net/netstat", "/proc/self/net/sockstat"}
for path in paths:
    if not os.path.exists(path):
        continue
    if path in own:
        # Its own network namespace's, as empty as that.
        text = open(path).read()
        if path.endswith("unix") and len(text.splitlines()) > 1 or path.endswith("dev") and len(text.splitlines()) > 3:
            print("ESCAPED:", path, text[:200])
            sys.exit(66)
        continue
    print("ESCAPED:", path)
    sys.exit(66)
print("HELD")
