# Tries: joins process groups and sessions that are not its own, makes its parent die, and asks to be told of its parent's death.
# Seen: setpgid races in shells; supervisors that signal a group which a job had joined.
# Must: no group of another can be joined; the parent is out of sight.
# Case: row=B10 expect=held args={service_pid}
import os, signal, sys

service = int(sys.argv[1])
if os.getppid() != 0:
    print("ESCAPED: the parent is", os.getppid())
    sys.exit(66)
for other in (1, service, 3, 4, 5):
    for attempt in (lambda: os.setpgid(0, other), lambda: os.setpgid(other, other), lambda: os.getpgid(other) if other != 1 else os.setpgid(1, 0),
                    lambda: os.killpg(other, 0), lambda: os.waitpid(other, os.WNOHANG), lambda: os.sched_getaffinity(other) if other > 1 else os.kill(1, 0)):
        try:
            print("ESCAPED:", other, attempt())
            sys.exit(66)
        except OSError:
            pass
child = os.fork()
if child == 0:
    os.setsid()
    try:
        os.setpgid(0, os.getppid())
        print("ESCAPED: joined the group of another session", flush=True)
    except OSError:
        pass
    os._exit(0)
os.waitpid(child, 0)
print("HELD")
