# Tries: finds a controlling terminal by its session: /dev/tty, ttyname, the terminal number in stat, background reads, job control.
# Seen: su and runuser's TIOCSTI bugs (CVE-2016-2779, CVE-2005-4890): a child kept its caller's terminal.
# Must: there is no terminal of any process in sight, and a new session finds none either.
# Case: row=B6 expect=held
import os, sys, termios

def look(who):
    number = int(open("/proc/self/stat").read().rsplit(") ", 1)[1].split()[4])
    if number != 0:
        print("ESCAPED:", who, "has terminal number", number)
        return 66
    for fd in range(3):
        for attempt in (os.ttyname, os.tcgetpgrp, termios.tcgetattr, os.get_terminal_size):
            try:
                print("ESCAPED:", who, fd, attempt.__name__, attempt(fd))
                return 66
            except (OSError, termios.error):
                pass
    try:
        print("ESCAPED: a new terminal", os.openpty())
        return 66
    except OSError:
        return 0


found = look("the command")
child = os.fork()
if child == 0:
    os.setsid()
    os._exit(look("a new session"))
found = found or os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print("HELD" if not found else "")
sys.exit(found)
