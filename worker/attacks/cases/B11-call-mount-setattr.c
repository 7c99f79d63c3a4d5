// Tries: mount_setattr, which only exploits call.
// Seen: the default deny lists of Docker, systemd and Chromium.
// Must: the sandbox is killed before the call runs, and the outcome names it.
// Case: row=B11 expect=forbidden:mount_setattr
#include "B11-exploit-call.h"
int main(void) { return make_the_call("mount_setattr", SYS_mount_setattr); }
