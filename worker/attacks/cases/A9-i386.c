// Tries: a system call through the 32-bit gate, where numbers mean other calls than the filter knows.
// Seen: isolate NEWS 2.6.
// Must: the sandbox is killed and the outcome names the ABI and the call.
// Case: row=A9 expect=forbidden:i386:getpid start
#include "A9-foreign-abi.h"
int main(void) {
    long answer = -1;
#ifdef __x86_64__
    __asm__ volatile("int $0x80" : "=a"(answer) : "a"(20) : "memory"); /* getpid */
#endif
    return foreign_call_answered(answer);
}
