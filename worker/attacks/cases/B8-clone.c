// Tries: makes namespaces of its own by clone, which opens kernel code that only root reached before.
// Seen: CVE-2022-0185, CVE-2018-18955.
// Must: each is refused.
// Case: row=B8 expect=held layer=seccomp start
#include "B8-namespaces.h"
static long attempt(int flag) { long pid = syscall(SYS_clone, flag | SIGCHLD, 0, 0, 0, 0); if (pid == 0) _exit(0); return pid; }
int main(void) { return try_each_namespace("clone", attempt); }
