# Tries: poisons what later commands load or execute, where the whole root is writable: preloads, start-up files, programs, libraries.
# Seen: piston's tests; CI runners that reuse a workspace; ld.so.preload root kits.
# Must: the next command starts from the image as it is.
# Case: row=A13 expect=held twice profile=build limits=cpu:5s,memory:128M
mark=poison-of-the-first
files="/etc/ld.so.preload /etc/profile.d/$mark.sh /etc/cron.d/$mark /root/.bashrc /tmp/.bashrc /usr/lib/python3/dist-packages/sitecustomize.py
/usr/local/bin/gcc /usr/local/lib/lib$mark.so /etc/ld.so.conf.d/$mark.conf /var/spool/cron/$mark /usr/bin/env /etc/passwd /etc/hosts /opt/$mark /$mark"
if [ "$1" = first ]; then
    written=0
    for file in $files; do
        mkdir -p "${file%/*}" 2>/dev/null
        { echo "$mark" >> "$file"; } 2>/dev/null && written=$((written + 1))
    done
    rm -f /usr/bin/bash /usr/lib/x86_64-linux-gnu/libc.so.6
    echo "HELD: $written of them took it"
    exit 0
fi
for file in $files; do
    if [ -e "$file" ] && grep -q "$mark" "$file"; then echo "ESCAPED: $file"; exit 66; fi
done
echo HELD
