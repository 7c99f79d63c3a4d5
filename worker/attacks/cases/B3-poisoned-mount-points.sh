# Tries: replaces what the next sandbox mounts on (/dev, /proc, /tmp, /work) by links, so that its set-up follows them.
# Seen: runc CVE-2019-19921, CVE-2023-27561, CVE-2024-45310: mounts through links that a container had left.
# Must: the mount points of the next command are directories of the right file systems.
# Case: row=B3 expect=held twice profile=build needs=stat
if [ "$1" = first ]; then
    for name in dev proc tmp work dev/shm; do
        mv "/$name" "/$name-old" 2>/dev/null; rmdir "/$name" 2>/dev/null
        ln -sfn /etc "/$name" 2>/dev/null; ln -s /etc "/$name/etc" 2>/dev/null
    done
    rm -f /dev/null 2>/dev/null; ln -s /proc/sys/kernel/core_pattern /dev/null 2>/dev/null
    echo HELD
    exit 0
fi
for name in dev proc tmp work dev/shm; do
    [ -L "/$name" ] || [ ! -d "/$name" ] || [ -e "/$name/etc" ] || [ -e "/$name-old" ] && { echo "ESCAPED: /$name"; exit 66; }
done
[ "$(stat -c %t:%T /dev/null)" = 1:3 ] && [ "$(stat -f -c %T /proc)" = proc ] && [ "$(stat -f -c %T /work)" = tmpfs ] || { echo "ESCAPED: not the right file systems"; exit 66; }
echo HELD
