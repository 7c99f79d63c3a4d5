# Tries: reaches daemons of the host by the paths of their sockets: container runtimes, D-Bus, systemd, X11, the service itself.
# Seen: Docker's socket mounted into containers; bubblewrap sandboxes with a session bus.
# Must: none of these paths exists.
# Case: row=A3 expect=held
import glob, os, socket, stat, sys

paths = ["/run/docker.sock", "/var/run/docker.sock", "/run/containerd/containerd.sock", "/run/podman/podman.sock", "/run/crio/crio.sock",
         "/run/dbus/system_bus_socket", "/run/systemd/private", "/run/systemd/notify", "/run/systemd/journal/socket", "/run/udev/control",
         "/dev/log", "/tmp/.X11-unix/X0", "/run/nscd/socket", "/run/kiln/kiln.sock", "/run/postgresql/.s.PGSQL.5432", "/run/snapd.socket"]
for root in ("/run", "/var", "/tmp", "/dev", "/etc", "/opt"):
    for folder, _, names in os.walk(root):
        if folder.count("/") < 5:
            paths += [os.path.join(folder, name) for name in names]
for path in set(paths):
    try:
        if stat.S_ISSOCK(os.stat(path).st_mode):
            socket.socket(socket.AF_UNIX).connect(path)
            print("ESCAPED: connected to", path)
            sys.exit(66)
    except FileNotFoundError:
        continue
    except OSError as error:
        print("ESCAPED: there is", path, error)
        sys.exit(66)
print("HELD")
