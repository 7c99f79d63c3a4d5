// Tries: makes namespaces of its own by unshare, which opens kernel code that only root reached before.
// Seen: CVE-2022-0185, CVE-2018-18955.
// Must: the sandbox ends, and the outcome names the call.
// Case: row=B8 expect=forbidden:unshare start
#include "B8-namespaces.h"
static long attempt(int flag) { return syscall(SYS_unshare, flag); }
int main(void) { return try_each_namespace("unshare", attempt); }
