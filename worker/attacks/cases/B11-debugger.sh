# Tries: the image's own debuggers and tracers on pid 1, on itself and on its shell.
# Seen: judges whose image had strace and gdb beside the checker.
# Must: the sandbox ends at the first trace, and the outcome names the call.
# Case: row=B11 expect=forbidden:ptrace needs=strace
strace -f -o /work/trace -p 1 >/dev/null 2>&1
strace -o /work/trace /usr/bin/true >/dev/null 2>&1 && echo "ESCAPED: traced a program"
gdb -batch -p 1 >/dev/null 2>&1
echo "ESCAPED: nobody minded"
exit 66
