// Tries: iopl, which only exploits call.
// Seen: the default deny lists of Docker, systemd and Chromium.
// Must: the sandbox is killed before the call runs, and the outcome names it.
// Case: row=B11 expect=forbidden:iopl|held
#include "B11-exploit-call.h"
#ifdef __x86_64__
int main(void) { return make_the_call("iopl", SYS_iopl); }
#else
int main(void) { puts("HELD: this machine has no such call"); return 0; }
#endif
