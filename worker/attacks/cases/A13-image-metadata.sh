# Tries: changes modes, times, owners, attributes and names of the image's files, where the whole root is writable.
# Seen: overlayfs copy-up bugs (CVE-2015-1328, CVE-2021-3493): the lower layer changed.
# Must: the next command finds the image's files as they were.
# Case: row=A13 expect=held twice profile=build needs=stat
now() { stat -c '%a %u %g %Y %s %h' /usr/bin/env /etc/passwd /usr/lib /etc 2>/dev/null | tr '\n' ';'; ls /etc | wc -l; }
if [ "$1" = first ]; then
    chmod 7777 /usr/bin/env /etc/passwd /usr/lib /etc 2>/dev/null
    touch -d 2001-09-09 /usr/bin/env /etc/passwd /usr/lib /etc 2>/dev/null
    ln /etc/passwd /etc/passwd2 2>/dev/null; mv /etc/hosts /etc/hosts2 2>/dev/null; : > /etc/passwd
    setfattr -n user.mark -v left /usr/bin/env 2>/dev/null
    python3 -c 'import os; os.setxattr("/etc/services", "user.mark", b"left")' 2>/dev/null
    echo HELD
    exit 0
fi
case "$(now)" in
    *7777*|*1000000000*|*"1 0;"*) echo "ESCAPED: $(now)"; exit 66 ;;
esac
[ -e /etc/passwd2 ] || [ -e /etc/hosts2 ] || [ ! -s /etc/passwd ] && { echo "ESCAPED: names or content"; exit 66; }
python3 -c 'import os; print(os.getxattr("/usr/bin/env", "user.mark"), os.getxattr("/etc/services", "user.mark"))' 2>/dev/null && { echo "ESCAPED: attributes"; exit 66; }
echo HELD
