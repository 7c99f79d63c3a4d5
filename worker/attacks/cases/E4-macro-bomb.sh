# Tries: forty macros, each ten times the one before: 10^40 tokens from one kilobyte.
# Seen: the "billion laughs" of the C preprocessor.
# Must: a limit ends it.
# Case: row=E4 expect=limit:cpu|limit:wall|limit:memory needs=gcc profile=build limits=memory:128M,cpu:2s,wall:8s
cd /work || exit 1
{
    echo '#define A0 "x",'
    for n in $(seq 1 40); do p=A$((n - 1)); echo "#define A$n $p $p $p $p $p $p $p $p $p $p"; done
    echo 'const char *all[] = { A40 };'
} > a.c
gcc -c a.c -o a.o 2> /dev/null
echo "ESCAPED: it came to an end"
exit 66
