# Tries: finds mounts that should not be: host paths, writable ones, ones that propagate, file systems of the kernel's.
# Seen: runc CVE-2024-45310; Docker volumes with shared propagation.
# Must: every mount is nosuid and private, writable only where a job may write, and of a known kind.
# Case: row=B3 expect=held
import sys

writable, kinds, bad = {"/work", "/tmp", "/dev/shm"}, {"overlay", "tmpfs", "proc"}, []
lines = open("/proc/self/mountinfo").read().splitlines()
for line in lines:
    left, right = line.split(" - ")
    fields, kind = left.split(), right.split()[0]
    place, options, optional = fields[4], fields[5].split(","), fields[6:]
    if kind not in kinds or "nosuid" not in options or optional:
        bad.append(line)
    if "rw" in options and place not in writable:
        bad.append(line)
    if "nodev" not in options and place != "/dev":
        bad.append(line)
if len(lines) < 5:
    sys.exit("not tried: no mount table")
print("ESCAPED: %s" % bad if bad else "HELD")
sys.exit(66 if bad else 0)
