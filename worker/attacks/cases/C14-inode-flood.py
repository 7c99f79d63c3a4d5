# Tries: thousands of files, a very deep directory and odd names, for a collector or a cleaner that recurses.
# Seen: every judge that deletes recursively.
# Must: the inode limit refuses; the job ends at once and nothing of it stays.
# Case: row=C14 expect=held|limit:memory limits=inodes:20000,cpu:10s,wall:20s
import os

os.chdir("/tmp")
try:
    for n in range(5000):
        os.mkdir("d")
        os.chdir("d")
except OSError:
    pass
os.chdir("/work")
try:
    for n in range(1000000):
        open(b"\n\xff%d" % n + b"n" * 200, "w").close()
except OSError as error:
    print("HELD:", error.strerror)
