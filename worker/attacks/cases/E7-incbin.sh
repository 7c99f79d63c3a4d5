# Tries: compiles host files into its program: .incbin, #include, @response files, linker scripts, -T, debug paths.
# Seen: the classic against judges: .incbin "/etc/passwd" in the answer.
# Must: it sees the image's own files only; the canary and the host's secrets do not exist.
# Case: row=E7 expect=held args={canary_file} needs=gcc profile=build limits=memory:128M,cpu:6s,wall:12s
cd /work || exit 1
reads() { echo "ESCAPED: $1 by $2"; exit 66; }
# Messages may name the file, but not say what is in it.
tells() { sed "s|$1||g" | grep -q canary-; }
for file in "$1" /etc/shadow /root/.ssh/id_rsa /proc/1/environ /proc/1/root/etc/shadow; do
    printf '.incbin "%s"\n' "$file" > a.s; gcc -c a.s -o a.o 2> /dev/null && reads "$file" .incbin
    printf '#include "%s"\n' "$file" > a.c; gcc -E a.c > out 2> /dev/null && reads "$file" '#include'
    gcc -include "$file" -E -x c /dev/null > out 2> /dev/null && reads "$file" -include
    gcc "@$file" 2>&1 | tells "$file" && reads "$file" '@file'
    ld -T "$file" 2>&1 | tells "$file" && reads "$file" 'ld -T'
    as "$file" -o a.o 2>&1 | tells "$file" && reads "$file" as
done
printf '.section .text\n.incbin "/etc/passwd"\n' > a.s
gcc -c a.s -o a.o && grep -ac kiln a.o > /dev/null || { echo "not tried: its own /etc/passwd is not there"; exit 1; }
[ "$(grep -c : /etc/passwd)" -lt 10 ] && echo HELD || echo "ESCAPED: somebody else's /etc/passwd"
