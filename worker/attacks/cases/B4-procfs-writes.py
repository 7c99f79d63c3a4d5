# Tries: writes settings of the kernel through /proc and /sys.
# Seen: runc CVE-2025-31133, CVE-2025-52565, CVE-2025-52881.
# Must: nothing of the kernel's can be written, and /sys is not there.
# Case: row=B4 expect=held
import os, sys

targets = ["/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/proc/sys/vm/overcommit_memory",
           "/proc/sys/user/max_user_namespaces", "/proc/sys/fs/binfmt_misc/register", "/proc/1/oom_score_adj", "/proc/1/mem",
           "/proc/kcore", "/proc/kallsyms", "/proc/keys", "/sys/kernel/uevent_helper", "/sys/fs/cgroup/release_agent"]
for path in targets:
    try:
        os.close(os.open(path, os.O_WRONLY))
        print("ESCAPED: opened for writing", path)
        sys.exit(66)
    except OSError:
        pass
for path in ("/proc/kcore", "/proc/1/mem", "/proc/1/environ"):
    try:
        if open(path, "rb").read(1):
            print("ESCAPED: read", path)
            sys.exit(66)
    except OSError:
        pass
print("HELD")
