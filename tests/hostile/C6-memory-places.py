# Tries: takes memory where a meter may not look. Argument: tmp, shm, memfd, pipes, sockets, pages, cache.
# Seen: isolate's and go-judge's issues on tmpfs and socket buffers.
# Must: the memory limit or a refusal ends it, the peak stays below the limit, and nothing is charged afterwards.
import mmap, os, socket, sys

kind, block = sys.argv[1], b"x" * (1 << 20)
try:
    if kind in ("tmp", "shm", "cache"):
        place = {"tmp": "/tmp/f", "shm": "/dev/shm/f", "cache": "/work/f"}[kind]
        with open(place, "wb", buffering=0) as file:
            while True:
                file.write(block)
    if kind == "memfd":
        fd = os.memfd_create("hidden")
        while True:
            os.write(fd, block)
    if kind == "pipes":
        ends = []
        while True:
            ends.append(os.pipe())
            os.set_blocking(ends[-1][1], False)
            os.write(ends[-1][1], block[:65536])
    if kind == "sockets":
        pairs = []
        while True:
            pairs.append(socket.socketpair())
            pairs[-1][0].setblocking(False)
            try:
                while True:
                    pairs[-1][0].send(block[:65536])
            except BlockingIOError:
                pass
    if kind == "pages":
        maps = []
        while True:
            region = mmap.mmap(-1, 1 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000)
            maps.append(region)
            for offset in range(0, 1 << 30, 1 << 21):
                region[offset]
except (OSError, MemoryError, ValueError) as error:
    print("HELD:", type(error).__name__, error)
    sys.exit(0)
