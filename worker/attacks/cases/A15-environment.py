# Tries: reads the service's environment and command line, its own and those of every process it sees.
# Seen: judge0 issue 564.
# Must: it sees its own processes and its own environment only.
# Case: row=A15 expect=held args={canary_secret},kiln
import os, sys

seen = []
for pid in [p for p in os.listdir("/proc") if p.isdigit()]:
    for name in ("environ", "cmdline", "maps", "cwd", "root", "exe"):
        path = "/proc/%s/%s" % (pid, name)
        try:
            text = os.readlink(path) if name in ("cwd", "root", "exe") else open(path, "rb").read().decode(errors="replace")
        except OSError:
            continue
        if any(word in text for word in sys.argv[1:]) and pid != str(os.getpid()):
            seen.append((path, text[:200]))
        if pid == "1" and name in ("environ", "maps", "cwd", "root", "exe"):
            seen.append((path, text[:200]))
if any(os.environ.get(name) for name in ("KILN_CANARY", "HOME", "USER", "CARGO_MANIFEST_DIR")):
    seen.append(dict(os.environ))
print("ESCAPED: %s" % seen if seen else "HELD")
sys.exit(66 if seen else 0)
