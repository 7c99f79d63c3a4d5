# Tries: has the collector read through the kernel's magic links, which mean what the reading process has open.
# Seen: go-judge 0.3.0 to 1.10.0, retracted; Docker's copy-out (CVE-2018-15664).
# Must: nothing comes back; the collector's own files and root are not the job's.
# Case: row=A2 expect=held args={canary_file} takes=/work/0:not_regular,/work/1:not_regular,/work/2:not_regular,/work/3:not_regular,/work/4/cmdline:not_regular
import os, sys

canary = sys.argv[1]
targets = ["/proc/self/fd/3", "/proc/self/root" + canary, "/proc/thread-self/cwd/../../.." + canary, "/dev/stdin", "/proc/self"]
for number, target in enumerate(targets):
    os.symlink(target, "/work/%d" % number)
for number in (1, 2):
    try:
        print("ESCAPED: reads", open("/work/%d" % number).read()[:80])
        sys.exit(66)
    except OSError:
        pass
print("HELD")
