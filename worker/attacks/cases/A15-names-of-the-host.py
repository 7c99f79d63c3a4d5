# Tries: learns whose machine it is on: paths of the service in mount tables and maps, host name, boot id, keys and password hashes.
# Seen: judge0 issue 564; container fingerprinting by /proc/self/mountinfo.
# Must: nothing of the host's is named.
# Case: row=A15 expect=held args={canary_file}
import os, sys

seen = []
for name in ("mountinfo", "mounts", "mountstats", "maps", "smaps", "cgroup", "cmdline", "environ", "stat", "limits", "cpuset", "attr/current", "sched"):
    try:
        text = open("/proc/self/" + name, errors="replace").read()
    except OSError:
        continue
    words = [os.path.dirname(sys.argv[1]), "/var/lib/kiln", "/root/", "/home/", "upperdir=/var", "kiln-jail", "docker", "kubepods", "system.slice", "user.slice"]
    seen += [(name, word) for word in words if word in text and name != "cmdline"]
for path in ("/proc/sys/kernel/random/boot_id", "/proc/sys/kernel/hostname", "/proc/cmdline", "/proc/version", "/sys/class/dmi/id/product_uuid",
             "/sys/class/net", "/var/lib/kiln", "/etc/kiln", "/run/kiln", "/run/secrets/kubernetes.io", "/.dockerenv"):
    if os.path.lexists(path):
        seen.append(path)
for path in ("/etc/shadow", "/etc/sudoers", "/etc/ssh/ssh_host_ed25519_key", "/root/.bash_history", "/root/.ssh/id_rsa", "/root/.aws/credentials", sys.argv[1]):
    try:
        seen.append((path, open(path).read()[:80]))
    except OSError:
        pass
if os.uname().nodename != "kiln":
    seen.append(os.uname().nodename)
print("ESCAPED: %s" % seen if seen else "HELD")
sys.exit(66 if seen else 0)
