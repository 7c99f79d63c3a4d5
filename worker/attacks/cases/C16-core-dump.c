// Tries: dumps core, in the sandbox or through a handler on the host.
// Seen: apport, systemd-coredump and abrt privilege escalations.
// Must: no core is written, whatever its limit says.
// Case: row=C16 expect=signal:SIGABRT takes=/work/core:missing
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
int main(void) {
    struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    setrlimit(RLIMIT_CORE, &all);
    prctl(PR_SET_DUMPABLE, 1);
    abort();
}
