// Tries: makes namespaces of its own by clone3, which opens kernel code that only root reached before.
// Seen: CVE-2022-0185, CVE-2018-18955.
// Must: each is refused.
// Case: row=B8 expect=held layer=seccomp
#include "B8-namespaces.h"
static long attempt(int flag) { uint64_t arguments[8] = {flag, 0, 0, 0, SIGCHLD}; long pid = syscall(SYS_clone3, arguments, sizeof arguments); if (pid == 0) _exit(0); return pid; }
int main(void) { return try_each_namespace("clone3", attempt); }
