# Tries: a file that includes itself twice, at each of two hundred levels: 2^200 lines.
# Seen: the classic against judges; gcc's own limit is depth, not time.
# Must: a limit ends it.
# Case: row=E2 expect=limit:cpu|limit:wall|limit:memory|limit:output needs=gcc profile=build limits=memory:128M,cpu:1500ms,wall:6s
cd /work || exit 1
printf '#if __INCLUDE_LEVEL__ < 190\n#include __FILE__\n#include __FILE__\n#endif\nint x;\n' > a.c
gcc -E a.c -o /dev/null && echo "ESCAPED: it came to an end"
exit 66
