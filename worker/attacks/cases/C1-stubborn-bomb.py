# Tries: an exponential bomb that takes refusals calmly, ignores every signal and tries again for ever.
# Seen: every online judge.
# Must: the first refused fork ends it.
# Case: row=C1 expect=limit:pids
import os, signal

for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
while True:
    try:
        if os.fork() == 0:
            os.setsid()
    except OSError:
        pass
