# Tries: reaches the host's services over the network, by every family and by its own loopback.
# Seen: Judge0 CVE-2024-29021, network on by default.
# Must: no socket of another family than AF_UNIX, no interface, nothing to connect to.
# Case: row=A3 expect=held args={canary_port}
import socket, sys

port = int(sys.argv[1])
for family in (socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK, socket.AF_PACKET, socket.AF_VSOCK, socket.AF_BLUETOOTH):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):
        try:
            s = socket.socket(family, kind)
            print("ESCAPED: a socket of family", family)
            s.connect(("127.0.0.1", port))
            sys.exit(66)
        except OSError:
            pass
print("HELD")
