# Tries: writes every entry of its own /proc directory: memory, maps, oom score, user maps, security attributes, timer slack.
# Seen: runc CVE-2025-52881, CVE-2019-16884: writes to /proc/self/attr redirected; CVE-2012-0056 by /proc/self/mem.
# Must: /proc is read-only: no entry opens for writing.
# Case: row=B4 expect=held
import os, sys

tried = 0
for root, folders, names in os.walk("/proc/self/"):
    folders[:] = [folder for folder in folders if folder not in ("fd", "map_files", "cwd", "root", "task", "ns")]
    for name in names:
        path = os.path.join(root, name)
        if os.path.islink(path):
            continue
        tried += 1
        for flags in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_TRUNC):
            try:
                os.close(os.open(path, flags | os.O_NONBLOCK))
                print("ESCAPED: opened for writing", path)
                sys.exit(66)
            except OSError:
                pass
print("HELD" if tried > 40 else "not tried: %d entries only" % tried)
