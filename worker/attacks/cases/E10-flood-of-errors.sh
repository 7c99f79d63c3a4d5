# Tries: gigabytes of diagnostics from a small source: every line an error with a long context, and no limit of errors.
# Seen: judges that show the compiler's output to the user.
# Must: the output limit ends it.
# Case: row=E10 expect=limit:output needs=gcc profile=build limits=memory:128M,output:256K,cpu:6s,wall:12s
cd /work || exit 1
{ printf '#define E'; printf ' undeclared%d;' $(seq 1 400); echo; echo 'int main(void) {'; for n in $(seq 1 400); do echo E; done; echo '}'; } > a.c
gcc -fmax-errors=0 -ftrack-macro-expansion=2 -Wall -c a.c
echo "ESCAPED: the compiler said all it had to say"
exit 66
