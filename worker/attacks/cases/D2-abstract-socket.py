# Tries: reaches a process of the host, or of another sandbox, over an abstract socket or by the service's own socket.
# Seen: Landlock's documentation before ABI 6; Docker's socket mounted into containers.
# Must: neither exists in the sandbox.
# Case: row=D2 expect=held args={canary_abstract},{service_socket}
import os, socket, sys

for address in ("\0" + sys.argv[1], sys.argv[2]):
    s = socket.socket(socket.AF_UNIX)
    try:
        s.connect(address)
        print("ESCAPED: connected to", repr(address))
        sys.exit(66)
    except OSError:
        pass
try:
    if any("kiln" in line for line in open("/proc/net/unix")):
        print("ESCAPED: the host's sockets show")
        sys.exit(66)
except FileNotFoundError:
    pass
print("HELD")
