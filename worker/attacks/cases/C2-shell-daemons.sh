# Tries: daemons with the shell's own means: nohup, setsid, disown, background jobs that hold stdout open.
# Seen: piston issue 196; CI runners that wait for ever because a daemon kept the pipe.
# Must: the command is done when the shell is; nobody waits for the pipe.
# Case: row=C2 expect=held limits=wall:4s needs=setsid,nohup
nohup sleep 1000 > /dev/null 2>&1 &
setsid sleep 1001 &
setsid -f sleep 1002
(sleep 1003 & disown) &
setsid bash -c 'trap "" TERM HUP INT QUIT; while :; do sleep 1004; done' &
exec 5>&1
(while :; do sleep 100; done >&5) &
echo HELD
