# Tries: meets a second sandbox by a file of a known name in every place that can be written.
# Seen: isolate NEWS 2.6: /dev/shm was shared by a recursive bind.
# Must: the name is free in both, and the file systems are not the same.
# Case: row=A8 expect=held beside limits=wall:6s
import os, sys, time

places = [os.path.join(place, "meeting-point") for place in ("/work", "/tmp", "/dev/shm", "/var/tmp", "/run", "/run/lock", "/run/user", "/dev")]
for place in places:
    try:
        descriptor = os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        os.write(descriptor, sys.argv[1].encode())
    except FileExistsError:
        print("ESCAPED: the other was at", place)
        sys.exit(66)
    except OSError:
        pass
time.sleep(1.2)
for place in places:
    if os.path.exists(place) and open(place).read() != sys.argv[1]:
        print("ESCAPED: the other wrote to", place)
        sys.exit(66)
print("HELD" if os.path.exists(places[0]) else "not tried: nothing can be written")
