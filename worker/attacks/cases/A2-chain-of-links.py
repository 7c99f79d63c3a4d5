# Tries: confuses the collector with chains, circles and links on the way, each ending at the canary.
# Seen: go-judge issue 176; every resolver that checks one component and opens another.
# Must: none of them is followed, not even the first step.
# Case: row=A2 expect=held args={canary_file} takes=/work/0:not_regular,/work/circle:not_regular,/work/a/b/c:not_regular,/work/mine:not_regular
import os, sys

os.chdir("/work")
for n in range(60):
    os.symlink(str(n + 1), str(n))
os.symlink(sys.argv[1], "60")
os.symlink("circle", "circle")
os.makedirs("real/b")
os.symlink("real", "a")
os.symlink(sys.argv[1], "real/b/c")
open("/tmp/inside", "w").write("inside")
os.symlink("/tmp/inside", "mine")
if os.path.exists(sys.argv[1]) or os.path.exists("real/b/c"):
    print("ESCAPED: the canary is in sight")
    sys.exit(66)
print("HELD")
