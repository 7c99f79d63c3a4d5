// Tries: looks above its own arguments: environment, auxiliary vector and everything else up to the end of the stack.
// Seen: judge0 issue 564: the service's environment was the job's.
// Must: nothing but what the caller gave, and the kernel's own entries.
// Case: row=A15 expect=held
#define _GNU_SOURCE
#include <elf.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>
extern char **environ;
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    const char *known[] = {"PATH=", "HOME=", "LANG=", "PWD=", "SHLVL=", "LC_ALL=", "_="};
    for (char **one = environ; *one; one++) {
        unsigned n = 0;
        while (n < 7 && strncmp(*one, known[n], strlen(known[n]))) n++;
        if (n == 7) { printf("ESCAPED: %s\n", *one); return 66; }
    }
    // The strings end with the name of the program, 8 bytes below the end of the stack (binfmt_elf.c).
    const char *end = (const char *)getauxval(AT_EXECFN), *words[] = {"KILN_", "CARGO_", "SUDO_", "SSH_", "INVOCATION_ID", "canary-"};
    for (const char *at = argv[0]; end && at < end; at += strlen(at) + 1)
        for (int n = 0; n < 6; n++) if (strstr(at, words[n])) { printf("ESCAPED: %s\n", at); return 66; }
    if (getauxval(AT_UID) == 0 || getauxval(AT_SECURE)) { puts("ESCAPED: started as another"); return 66; }
    puts("HELD");
    return 0;
}
