# Tries: opens /proc of every process number there can be, since hidden ones may still open by name.
# Seen: hidepid=1 and gid= mistakes; judge0 issue 564.
# Must: numbers of others do not exist, whatever is asked of them.
# Case: row=A15 expect=held args={service_pid}
import os, sys

own = {str(os.getpid()), "2"}
seen = []
for pid in [int(sys.argv[1])] + list(range(1, 40000)):
    if os.path.exists("/proc/%d" % pid) and str(pid) not in own:
        seen.append(pid)
for pid in (1, int(sys.argv[1])):
    for name in ("environ", "cmdline", "status", "root", "cwd", "exe", "fd", "task", "ns/mnt", "mountinfo", "mem", "maps", "stack", "io", "wchan", "oom_score"):
        if os.path.lexists("/proc/%d/%s" % (pid, name)):
            seen.append((pid, name))
print("ESCAPED: %s" % seen[:20] if seen else "HELD")
sys.exit(66 if seen else 0)
