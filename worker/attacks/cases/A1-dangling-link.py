# Tries: leaves links to names that do not exist yet, so that the service creates files for it beside the canary.
# Seen: Judge0 CVE-2024-28185: the service wrote to where a link pointed.
# Must: nothing appears on the host; the links come back as "not a regular file".
# Case: row=A1 expect=held args={canary_file} takes=/work/out:not_regular,/work/up:not_regular,/work/dir/new:not_regular
import os, sys

planted = sys.argv[1] + ".planted"
os.symlink(planted, "/work/out")
os.symlink("../../../../../../.." + planted, "/work/up")
os.symlink(os.path.dirname(planted), "/work/dir")
for path in ("/work/out", "/work/up", "/work/dir/new", planted):
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT))
        print("ESCAPED: made", os.path.realpath(path))
        sys.exit(66)
    except OSError:
        pass
print("HELD")
