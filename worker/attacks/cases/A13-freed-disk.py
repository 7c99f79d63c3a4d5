# Tries: writes secrets to every writable place and deletes them; the next command takes all the disk it can get and looks.
# Seen: "shred" folklore made real by judges that keep one scratch volume.
# Must: whatever a new file shows is zero.
# Case: row=A13 expect=held twice limits=memory:64M,disk:32M,cpu:5s
import os, sys

secret = b"the-first-one-wrote-this"
for place in ("/work", "/tmp", "/dev/shm"):
    path = place + "/f"
    if sys.argv[1] == "first":
        with open(path, "wb") as file:
            file.write(secret * (6 << 20 >> 5))
        os.unlink(path)
        continue
    with open(path, "wb+") as file:
        file.truncate(1 << 20)
        os.posix_fallocate(file.fileno(), 1 << 20, 6 << 20)
        while block := file.read(1 << 20):
            if block.strip(b"\0"):
                print("ESCAPED:", block.strip(b"\0")[:80])
                sys.exit(66)
    if set(os.listdir(place)) - {"f", os.path.basename(sys.argv[0])}:
        print("ESCAPED: in", place, os.listdir(place))
        sys.exit(66)
    os.unlink(path)
print("HELD")
