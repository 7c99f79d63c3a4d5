# Tries: scripts whose interpreter is /proc/self/exe or a descriptor, so that whatever executes them executes itself again with their arguments.
# Seen: runc CVE-2019-5736's trigger: an entry point of "#!/proc/self/exe".
# Must: what runs is a program of the image; the service's own is nowhere.
# Case: row=B1 expect=held
cd /work || exit 1
for interpreter in /proc/self/exe /proc/1/exe /proc/self/fd/3 /proc/thread-self/exe; do
    printf '#!%s\nreadlink /proc/self/exe\nhead -c 2000000 /proc/self/exe | grep -ac kiln-jail\n' "$interpreter" > script
    chmod +x script
    said=$(./script 2>/dev/null)
    case "$said" in
        *kiln*|*memfd*|*deleted*|*[1-9]) echo "ESCAPED: $interpreter: $said"; exit 66 ;;
    esac
done
echo HELD
