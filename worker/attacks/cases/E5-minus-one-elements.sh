# Tries: main[-1u]={1}: a program of 16 GiB from fifteen bytes, and its kin with sections, alignment and repetition in the assembler.
# Seen: codegolf's "Build a compiler bomb".
# Must: the file size, disk or memory limit stops it; nothing of that size comes into being.
# Case: row=E5 expect=held|limit:file_size|limit:memory|limit:cpu|limit:wall needs=gcc profile=build limits=memory:128M,disk:32M,file_size:16M,cpu:4s,wall:10s
cd /work || exit 1
echo 'main[-1u]={1};' > a.c
printf '.rept 100000000\n.long 1\n.endr\n' > b.s
printf '.data\n.byte 1\n.org 0x40000000\n.byte 1\n' > c.s
for source in c.s a.c b.s; do
    gcc -w -mcmodel=medium "$source" -o out > /dev/null 2>&1 || gcc -w -c "$source" -o out > /dev/null 2>&1
    size=$(stat -c %s out 2>/dev/null || echo 0)
    [ "$size" -gt 16777216 ] && { echo "ESCAPED: $source made $size bytes"; exit 66; }
done
echo HELD
