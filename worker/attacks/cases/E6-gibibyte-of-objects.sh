# Tries: objects of half a gibibyte each until the disk is full: compiled, assembled, archived, linked together.
# Seen: judges whose compile step had no quota.
# Must: disk or memory limits stop it, and the compiler's failure is its own.
# Case: row=E6 expect=held|limit:file_size|limit:memory|limit:cpu|limit:wall needs=gcc profile=build limits=memory:128M,disk:24M,cpu:4s,wall:10s
cd /work || exit 1
printf 'char big[12 << 20] = {1};\n' > a.c
for n in $(seq 1 12); do gcc -c a.c -o "a$n.o" 2> /dev/null; done
gcc -shared -o all.so a*.o 2> /dev/null
used=$(du -sk --apparent-size /work /tmp | awk '{sum += $1} END {print sum}')
[ "$used" -gt 26000 ] && { echo "ESCAPED: $used KiB on a disk of 24 MiB"; exit 66; }
echo "HELD: $used KiB"
