# Tries: meets a second sandbox at an abstract socket, as server and as client, in each type.
# Seen: isolate NEWS 2.4; Landlock's documentation before ABI 6.
# Must: the name is free in both, and nobody answers.
# Case: row=A8 expect=held beside limits=wall:6s
import errno, socket, sys, time

kept = []
for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
    server = socket.socket(socket.AF_UNIX, kind)
    try:
        server.bind("\0meeting-%d" % kind)
        kept.append(server)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            print("ESCAPED: the other has the name")
            sys.exit(66)
until = time.monotonic() + 1.2
other = "\0from-" + {"one": "two", "two": "one"}[sys.argv[1]]
own = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
own.bind("\0from-" + sys.argv[1])
while time.monotonic() < until:
    try:
        own.sendto(b"hello", other)
        print("ESCAPED: the other listens")
        sys.exit(66)
    except OSError:
        time.sleep(0.02)
print("HELD" if len(kept) == 3 else "not tried: no sockets")
