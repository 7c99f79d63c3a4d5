# Tries: listens to what a second sandbox opens, by inotify on the image's directories, on / and on its own standard streams.
# Seen: isolate NEWS 2.4: notification as a channel; inotify asks for no more than read permission.
# Must: no event comes but for what it does itself.
# Case: row=A8 expect=held beside limits=wall:5s,cpu:4s
import ctypes, os, select, sys, time

libc = ctypes.CDLL(None, use_errno=True)
places = [b"/", b"/usr", b"/usr/bin", b"/usr/lib", b"/etc", b"/etc/passwd", b"/usr/bin/env", b"/dev", b"/dev/null", b"/tmp", b"/dev/shm",
          b"/proc/self/fd/0", b"/proc/self/fd/1"]
if sys.argv[1] == "two":
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        for place in places[:-2]:
            try:
                os.close(os.open(place, os.O_RDONLY))
                os.utime(place)
            except OSError:
                pass
    print("HELD")
    sys.exit(0)
watcher = libc.inotify_init1(os.O_NONBLOCK)
watches = {libc.inotify_add_watch(watcher, place, 0xfff): place for place in places}
if max(watches) < 1 or len(watches) < 5:
    sys.exit("not tried: no watch could be made")
ready, _, _ = select.select([watcher], [], [], 1.5)
if ready:
    watch = int.from_bytes(os.read(watcher, 4096)[:4], sys.byteorder)
    print("ESCAPED: an event at", watches.get(watch))
    sys.exit(66)
print("HELD")
