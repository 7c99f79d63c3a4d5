// Tries: attaches to pid 1, without stopping it.
// Seen: CVE-2019-13272; supervisors that share the job's uid.
// Must: the sandbox ends, and the outcome names the call.
// Case: row=B11 expect=forbidden:ptrace
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/ptrace.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    long answer = ptrace(PTRACE_SEIZE, 1, 0, 0);
    printf("ESCAPED: ptrace answered %ld\n", answer);
    return 66;
}
