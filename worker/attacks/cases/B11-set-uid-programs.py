# Tries: every set-user-id and set-group-id program of the image, and one of its own making, to become somebody else.
# Seen: sudo CVE-2021-3156, pkexec CVE-2021-4034: any set-user-id program is a way up.
# Must: no program makes it another user; the bits do not count.
# Case: row=B11 expect=held limits=cpu:5s,wall:10s needs=env
import os, shutil, stat, subprocess, sys

found = []
for root, folders, names in os.walk("/"):
    if root.startswith(("/proc", "/opt", "/usr/share", "/usr/include")) or root.count("/") > 3:
        folders.clear()
    for name in names:
        path = os.path.join(root, name)
        try:
            status = os.lstat(path)
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode) and status.st_mode & 0o6000:
            found.append(path)
shutil.copy("/usr/bin/env", "/work/own")
os.chmod("/work/own", 0o6755)
probe = "import os; print(os.geteuid(), os.getegid())"
for command in (["/usr/bin/su", "-c", "id -u"], ["/usr/bin/sudo", "-n", "id", "-u"], ["/work/own", "python3", "-c", probe], ["/usr/bin/pkexec", "id", "-u"], ["/usr/bin/newgrp"]):
    try:
        said = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=1).stdout
    except (OSError, subprocess.TimeoutExpired):
        continue
    if said.startswith(b"0") or b" 0" in said:
        print("ESCAPED: by", command, said)
        sys.exit(66)
for path in found:
    # Executed as it is: no_new_privs and nosuid both say that its bits do not count.
    if not os.statvfs(path).f_flag & os.ST_NOSUID:
        print("ESCAPED: the bits of", path, "count")
        sys.exit(66)
print("HELD")
