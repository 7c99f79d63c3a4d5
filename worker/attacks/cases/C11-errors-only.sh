# Tries: floods stderr only, which many services read last or not at all.
# Seen: deadlocks of judges that read stdout to its end first.
# Must: the output limit ends it.
# Case: row=C11 expect=limit:output
while :; do printf '%04096d' 0 >&2; done
