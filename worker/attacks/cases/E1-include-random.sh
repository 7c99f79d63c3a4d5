# Tries: includes what never ends: /dev/random, /dev/zero, its own pipe, in C, C++ and assembly.
# Seen: the classic against judges: a compiler without limits reads for ever.
# Must: a limit or the compiler itself ends it.
# Case: row=E1 expect=held|limit:cpu|limit:wall|limit:memory|limit:output needs=gcc profile=build limits=memory:128M,cpu:4s,wall:8s
cd /work || exit 1
echo '#include </dev/random>' > a.c
printf '.include "/dev/zero"\n' > b.s
for source in a.c b.s; do
    timeout 2 gcc -c "$source" -o out.o > /dev/null 2>&1 && { echo "ESCAPED: $source compiles"; exit 66; }
done
printf '#include "/dev/zero"\nint main(void) { return 0; }\n' > c.c
gcc c.c > /dev/null 2>&1 && { echo "ESCAPED: c.c compiles"; exit 66; }
echo HELD
