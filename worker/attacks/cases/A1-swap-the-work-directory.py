# Tries: moves /work itself away and puts a link in its place, so that the collector goes elsewhere.
# Seen: Judge0 CVE-2024-28185's second part: the directory, not the file, was the link.
# Must: /work stays where it is, and is what the collector looks into.
# Case: row=A1 expect=held args={canary_file} takes=/work/secret:missing,/work/mine:found
import os, sys

target = os.path.dirname(sys.argv[1])
attempts = [lambda: os.rename("/work", "/tmp/work"), lambda: os.rmdir("/work"), lambda: os.symlink(target, "/work"),
            lambda: os.rename("/work", "/oldwork"), lambda: os.replace("/tmp", "/work"), lambda: os.chmod("/", 0o777)]
for number, attempt in enumerate(attempts):
    try:
        attempt()
        print("ESCAPED: attempt", number)
        sys.exit(66)
    except OSError:
        pass
if os.path.islink("/work") or not os.path.ismount("/work"):
    print("ESCAPED: /work is something else now")
    sys.exit(66)
open("/work/mine", "w").write("mine")
print("HELD")
