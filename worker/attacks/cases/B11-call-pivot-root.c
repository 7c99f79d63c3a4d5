// Tries: pivot_root, which only exploits call.
// Seen: the default deny lists of Docker, systemd and Chromium.
// Must: the sandbox is killed before the call runs, and the outcome names it.
// Case: row=B11 expect=forbidden:pivot_root
#include "B11-exploit-call.h"
int main(void) { return make_the_call("pivot_root", SYS_pivot_root); }
