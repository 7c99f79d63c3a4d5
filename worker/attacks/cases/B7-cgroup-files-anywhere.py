# Tries: looks through the whole tree for files by which groups are changed, and writes to them.
# Seen: CVE-2022-0492; containers with /sys/fs/cgroup bound in writable.
# Must: no such file exists.
# Case: row=B7 expect=held limits=cpu:5s,wall:10s
import os, sys

names = {"release_agent", "notify_on_release", "cgroup.procs", "cgroup.threads", "tasks", "memory.max", "memory.limit_in_bytes", "pids.max", "cpu.max",
         "cgroup.kill", "cgroup.freeze", "freezer.state", "devices.allow", "cgroup.subtree_control"}
for root, folders, files in os.walk("/"):
    if root.startswith("/proc") and root.count("/") > 2 or root.startswith(("/usr", "/opt")) and root.count("/") > 2:
        folders.clear()
    for name in names.intersection(files):
        print("ESCAPED:", os.path.join(root, name))
        sys.exit(66)
for path in ("/proc/cgroups", "/sys/kernel/uevent_helper", "/sys/fs/cgroup"):
    if os.path.lexists(path):
        print("ESCAPED:", path)
        sys.exit(66)
print("HELD")
