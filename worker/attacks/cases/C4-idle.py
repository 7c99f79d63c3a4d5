# Tries: occupies its slot for ever without using anything.
# Seen: every judge.
# Must: the wall limit ends it, and the evidence says that it was idle.
# Case: row=C4 expect=limit:wall limits=wall:800ms
import sys, time

while True:
    time.sleep(1000)
