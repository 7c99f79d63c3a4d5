# Tries: finds the sealed copy of the jail's program: in maps, map_files, descriptors and as executable of any process, itself before exec too.
# Seen: runc's answer to CVE-2019-5736, bypassed where the copy stayed reachable (CVE-2024-21626's kin).
# Must: no memfd is anywhere in sight.
# Case: row=B1 expect=held
import glob, os, sys

seen = []
for path in glob.glob("/proc/[0-9]*/*") + glob.glob("/proc/[0-9]*/fd/*") + glob.glob("/proc/[0-9]*/map_files/*") + glob.glob("/proc/[0-9]*/task/*/exe"):
    try:
        target = os.readlink(path)
        if "memfd" in target or "kiln" in target:
            seen.append((path, target))
    except OSError:
        continue
for line in open("/proc/self/maps"):
    if "memfd" in line or "kiln" in line:
        seen.append(line)
print("ESCAPED: %s" % seen if seen else "HELD")
sys.exit(66 if seen else 0)
