# Tries: a build step that makes a program which does what the build may not, and runs it: another user, another root, a device, a trace.
# Seen: build scripts and procedural macros (Rust, npm postinstall) that attack the machine that builds.
# Must: it ends at the first forbidden call, as the same program would outside a build.
# Case: row=E13 expect=forbidden:mount needs=gcc profile=build limits=memory:128M,cpu:6s,wall:12s
cd /work || exit 1
cat > generator.c <<'EOF'
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>
int main(void) { if (setuid(0) == 0) puts("ESCAPED: root"); printf("ESCAPED: mount answered %d\n", mount("none", "/tmp", "tmpfs", 0, 0)); return 0; }
EOF
gcc generator.c -o generator && ./generator > generated.h
cat generated.h
exit 66
