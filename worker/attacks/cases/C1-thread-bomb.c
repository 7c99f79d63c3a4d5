// Tries: as many threads as it can get.
// Seen: every online judge.
// Must: the pids limit stops it and the outcome says so.
// Case: row=C1 expect=limit:pids
#include <pthread.h>
#include <unistd.h>
static void *idle(void *nothing) { for (;;) pause(); }
int main(void) { pthread_t thread; for (;;) pthread_create(&thread, 0, idle, 0); }
