// Tries: a system call by its x32 number, which a filter that compares numbers of one ABI lets through.
// Seen: isolate NEWS 2.6.
// Must: the sandbox is killed and the outcome names the ABI and the call.
// Case: row=A9 expect=forbidden:x32:getpid start
#include <unistd.h>
#include "A9-foreign-abi.h"
int main(void) {
    return foreign_call_answered(syscall(0x40000000 + 39)); /* getpid */
}
