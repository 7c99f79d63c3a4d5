# Tries: spreads over sessions and groups, and ends the leaders, so that no group contains all of it.
# Seen: piston issue 196; langfuse issue 15955: killing by process group.
# Must: the wall limit ends all of them.
# Case: row=A12 expect=limit:wall limits=wall:1s
import os, signal, time

for n in range(12):
    if os.fork() == 0:
        os.setsid() if n % 2 else os.setpgid(0, 0)
        for number in range(1, 65):
            try:
                signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError):
                pass
        if os.fork() == 0:
            os.setpgid(0, 0)
            while True:
                time.sleep(1000)
        os._exit(0)
while True:
    try:
        os.wait()
    except ChildProcessError:
        time.sleep(1000)
