# Tries: a build that hunts for hidden data: a makefile and a generator look through the tree, environment, processes and network for answers.
# Seen: judges that compiled beside the test data; DMOJ judge-server#318.
# Must: the compile step has its sources and the image, nothing else.
# Case: row=E8 expect=held args={canary_file},{canary_port} needs=gcc,make profile=build limits=memory:128M,cpu:6s,wall:12s
cd /work || exit 1
printf '%s\n' "$1" > canary-file; printf '%s\n' "$2" > canary-port
cat > Makefile <<'EOF'
SECRET := $(shell cat "$$(cat canary-file)" 2>/dev/null; env | grep -i -e kiln -e secret -e token; ls /home /root /srv /mnt /data /judge /problems 2>/dev/null)
all: found.h
	gcc -DSECRET='"$(SECRET)"' -o prog prog.c && ./prog
found.h:
	find / -xdev \( -name '*.ans' -o -name '*.expected' -o -name 'secret' -o -name '*.sock' -o -name 'testdata' \) -not -path '/proc/*' -not -path '/usr/*' 2>/dev/null > found.txt; \
	(exec 3<>/dev/tcp/127.0.0.1/$$(cat canary-port)) 2>/dev/null && echo network >> found.txt; \
	cat /proc/[0-9]*/environ 2>/dev/null | tr '\0' '\n' | grep -i -e canary- -e KILN_ >> found.txt; echo "#define FOUND \"$$(tr '\n' ' ' < found.txt)\"" > found.h
EOF
printf '#include "found.h"\n#include <stdio.h>\nint main(void) { printf("%%s%%s|", SECRET, FOUND); return 0; }\n' > prog.c
said=$(make -s SHELL=/bin/bash 2>&1) || { echo "not tried: $said"; exit 1; }
[ -z "$(printf %s "$said" | tr -d ' |')" ] && echo HELD || { echo "ESCAPED: $said"; exit 66; }
