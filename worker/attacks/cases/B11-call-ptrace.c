// Tries: ptrace, which only exploits call.
// Seen: the default deny lists of Docker, systemd and Chromium.
// Must: the sandbox is killed before the call runs, and the outcome names it.
// Case: row=B11 expect=forbidden:ptrace
#include "B11-exploit-call.h"
int main(void) { return make_the_call("ptrace", SYS_ptrace); }
