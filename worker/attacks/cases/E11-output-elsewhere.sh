# Tries: has the compiler write outside its place: over links, into the image, into devices, as dependency file, dump, plugin cache.
# Seen: Judge0 CVE-2024-28185's way: a link where a compiler writes as somebody else.
# Must: it writes as the job's user in the throwaway root only; the canary and the image are as before.
# Case: row=E11 expect=held args={canary_file} needs=gcc profile=build limits=memory:128M,cpu:6s,wall:12s takes=/work/out:not_regular
cd /work || exit 1
echo 'int main(void) { return 0; }' > a.c
ln -s "$1" out; ln -s /dev/null null; ln -s /proc/self/exe exe; ln -s /usr/bin/gcc compiler
before=$(stat -c '%i %Y %s' /usr/bin/gcc /usr/bin/env /etc/passwd)
for place in out compiler exe /usr/bin/env /etc/passwd /proc/self/mem "$1"; do
    gcc a.c -o "$place"; gcc -MD -MF "$place" -c a.c -o a.o; gcc -fdump-tree-all -dumpbase "$place" -c a.c -o a.o; gcc -E a.c -o "$place"; ar q "$place" a.o
done > /dev/null 2>&1
[ -e "$1" ] && { echo "ESCAPED: the canary is there"; exit 66; }
[ "$before" = "$(stat -c '%i %Y %s' /usr/bin/gcc /usr/bin/env /etc/passwd)" ] || { echo "ESCAPED: the image was written"; exit 66; }
[ "$(stat -c %t:%T /dev/null)" = 1:3 ] || { echo "ESCAPED: /dev/null"; exit 66; }
echo HELD
