# Tries: leaves a mark in every writable place for the next job (argument "first"), or looks for one ("second").
# Seen: piston's tests; DMOJ; every judge that reuses a directory.
# Must: the second job finds nothing of the first.
# Case: row=A13 expect=held twice
import os, subprocess, sys

def places():
    for root, directories, files in os.walk("/"):
        if root.startswith("/proc"):
            directories.clear()
        # Toolchains have hundreds of thousands of directories, all alike: two levels of them are enough.
        if root.startswith(("/usr", "/opt")) and root.count("/") > 2:
            directories.clear()
        yield root, directories, files


mark, action = "left-by-the-job-before", sys.argv[1]
if action == "first":
    for root, directories, files in places():
        try:
            open(os.path.join(root, mark), "w").close()
        except OSError:
            pass
    subprocess.run(["ipcmk", "-M", "4096", "-p", "0666"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    print("HELD")
else:
    found = [root for root, directories, files in places() if mark in files or mark in directories]
    for table in ("shm", "sem", "msg"):
        try:
            if len(open("/proc/sysvipc/" + table).readlines()) > 1:
                found.append("sysvipc " + table)
        except OSError:
            pass
    print("ESCAPED: found %s" % found if found else "HELD")
    sys.exit(66 if found else 0)
