# Tries: makes the collector read host files by links, links on the way, and links swapped in while it looks.
# Seen: go-judge 0.3.0 to 1.10.0, retracted (go.mod, issue 176).
# Must: nothing but regular files of the job comes back, and never a byte of the host.
# Case: row=A2 expect=held args={canary_file} takes=/work/out:not_regular,/work/root:not_regular,/work/dir/secret:not_regular,/work/shadow:not_regular,/work/a/secret:any
import os, sys

canary = sys.argv[1]
os.symlink(canary, "/work/out")
os.symlink("/proc/self/root" + canary, "/work/root")
os.symlink(os.path.dirname(canary), "/work/dir")
os.symlink("/proc/1/root/etc/shadow", "/work/shadow")
os.mkdir("/work/a")
open("/work/a/secret", "w").write("mine")
if os.fork() == 0:
    os.setsid()
    while True:
        os.rename("/work/a", "/work/b")
        os.symlink(os.path.dirname(canary), "/work/a")
        os.unlink("/work/a")
        os.rename("/work/b", "/work/a")
print("HELD")
