# Tries: leaves FIFOs, sockets, hard links and devices where output files are collected, so that the collector hangs.
# Seen: isolate 057c58c, go-judge's tests.
# Must: devices cannot be made; the others come back as "not a regular file", at once.
# Case: row=A10 expect=held takes=/work/fifo:not_regular,/work/socket:not_regular,/work/directory:not_regular,/work/zero:not_regular
import os, socket, stat, sys

os.mkfifo("/work/fifo")
socket.socket(socket.AF_UNIX).bind("/work/socket")
os.mkdir("/work/directory")
os.symlink("/dev/zero", "/work/zero")
for name, kind in (("char", stat.S_IFCHR), ("block", stat.S_IFBLK)):
    try:
        os.mknod("/work/" + name, kind | 0o666, os.makedev(1, 5))
        print("ESCAPED: made a device")
        sys.exit(66)
    except OSError:
        pass
for source in ("/usr/bin/env", "/etc/passwd", "/dev/null"):
    try:
        os.link(source, "/work/hard")
        print("ESCAPED: hard link to", source)
        sys.exit(66)
    except OSError:
        pass
print("HELD")
