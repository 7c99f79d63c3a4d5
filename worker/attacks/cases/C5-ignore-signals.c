// Tries: ignores every signal, and forks away whenever one comes.
// Seen: every judge that asks politely.
// Must: the CPU limit ends it.
// Case: row=C5 expect=limit:cpu limits=cpu:500ms
#include <signal.h>
#include <unistd.h>
static void away(int signal) { if (fork()) _exit(0); }
int main(void) { for (int s = 1; s < 65; s++) signal(s, s % 2 ? SIG_IGN : away); for (;;); }
