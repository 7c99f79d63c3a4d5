# Tries: the fork bomb everybody knows, in the shell.
# Seen: every online judge.
# Must: the pids limit stops it and the outcome says so.
# Case: row=C1 expect=limit:pids
bomb() { bomb | bomb & }
bomb
while :; do sleep 1; done
