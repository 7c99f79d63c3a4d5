# Tries: lies about time and usage to itself and its judge: own clocks against each other, usage of children, limits of CPU time it sets itself.
# Seen: judges that ask the program's own rusage or trust its prints.
# Must: usage is measured outside: the CPU limit holds whatever the program thinks.
# Case: row=D12 expect=limit:cpu limits=cpu:400ms
import ctypes, os, resource, time

libc = ctypes.CDLL(None, use_errno=True)
for clock in range(12):
    now = (ctypes.c_long * 2)(0, 0)
    if clock and libc.clock_gettime(clock, now) == 0 and clock != 1 and libc.syscall(-1) == 0:
        print("ESCAPED")
resource.setrlimit(resource.RLIMIT_CPU, (1000, resource.RLIM_INFINITY))
for n in range(3):
    if os.fork() == 0:
        os.setsid()
        break
while time.process_time() < 1000:
    pass
