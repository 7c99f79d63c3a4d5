# Tries: becomes a new program again and again, so that a meter of one program starts from zero.
# Seen: judges that read the usage of the last program only.
# Must: the CPU limit counts all programs of the process.
# Case: row=C3 expect=limit:cpu limits=cpu:500ms
for ((n = 0; n < 2000; n++)); do :; done
exec bash "$0"
