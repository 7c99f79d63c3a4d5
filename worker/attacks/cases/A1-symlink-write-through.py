# Tries: leaves links where the service collects files, so that it writes, chowns or chmods through them on the host.
# Seen: Judge0 CVE-2024-28185 and CVE-2024-28189 (judge0 CHANGELOG 1.13.1).
# Must: the host's file keeps content, owner and mode; the links come back as "not a regular file".
# Case: row=A1 expect=held args={canary_file} takes=/work/out:not_regular,/work/dir/through/secret:not_regular
import os, sys

canary = sys.argv[1]
os.symlink(canary, "/work/out")
os.mkdir("/work/dir")
os.symlink(os.path.dirname(canary), "/work/dir/through")
for path in (canary, "/proc/self/root" + canary, "/proc/1/root" + canary, "/work/dir/through/secret", "/work/out"):
    try:
        os.chown(path, os.getuid(), os.getgid())
        open(path, "a").write("overwritten")
        print("ESCAPED: the canary is in reach by", path)
        sys.exit(66)
    except OSError:
        pass
print("HELD")
