# Tries: finds cgroup files to move itself, raise its limits or plant a release agent.
# Seen: CVE-2022-0492.
# Must: no cgroup file system is in the sandbox, and its path shows nothing of the host.
# Case: row=B7 expect=held
import os, sys

for line in open("/proc/self/mountinfo"):
    if " - cgroup" in line or " - sysfs" in line:
        print("ESCAPED: mounted:", line)
        sys.exit(66)
for line in open("/proc/self/cgroup"):
    path = line.strip().split(":", 2)[2]
    if "kiln" in path or path.count("/") > 1:
        print("ESCAPED: the host's cgroup path shows:", line)
        sys.exit(66)
if os.path.exists("/sys/fs/cgroup") and os.listdir("/sys/fs/cgroup"):
    print("ESCAPED: cgroup files")
    sys.exit(66)
print("HELD")
