// Tries: traces a child of its own, to rewrite its calls after the filter has seen them.
// Seen: seccomp(2) before Linux 4.8 let a tracer change the call; CVE-2019-13272 (PTRACE_TRACEME).
// Must: the sandbox ends, and the outcome names the call.
// Case: row=B11 expect=forbidden:ptrace
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/ptrace.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    long answer = ptrace(PTRACE_TRACEME, 0, 0, 0);
    printf("ESCAPED: ptrace answered %ld\n", answer);
    return 66;
}
