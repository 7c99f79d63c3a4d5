# Tries: replaces /dev/null and its neighbours by links or files of its own, so that whoever writes there later writes elsewhere.
# Seen: runc CVE-2025-31133, CVE-2025-52565: /dev/null and /dev/console swapped for links.
# Must: /dev is read-only, its five devices stay what they are.
# Case: row=B4 expect=held needs=stat
for name in null zero full random urandom; do
    rm -f /dev/$name; mv /dev/$name /dev/shm/; ln -sf /proc/sys/kernel/core_pattern /dev/$name; : > /dev/new; mkdir /dev/new; chmod 0 /dev/$name
    chown "$(id -u)" /dev/$name; cp --remove-destination /etc/passwd /dev/$name
done 2>/dev/null
said=$(stat -c '%n %t:%T %a %u' /dev/null /dev/zero /dev/full /dev/random /dev/urandom | sed 's/ 666 0$//' | tr '\n' ' ')
[ "$said" = "/dev/null 1:3 /dev/zero 1:5 /dev/full 1:7 /dev/random 1:8 /dev/urandom 1:9 " ] || { echo "ESCAPED: $said"; exit 66; }
[ "$(ls /dev | tr '\n' ' ')" = "fd full null random shm stderr stdin stdout urandom zero " ] || { echo "ESCAPED: $(ls /dev)"; exit 66; }
[ "$(readlink /dev/fd)" = /proc/self/fd ] || { echo "ESCAPED: /dev/fd"; exit 66; }
echo HELD
