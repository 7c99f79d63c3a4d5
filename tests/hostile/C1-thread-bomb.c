// Tries: as many threads as it can get.
// Seen: every online judge.
// Must: the pids limit stops it and the outcome says so.
#include <pthread.h>
#include <unistd.h>
static void *idle(void *nothing) { for (;;) pause(); }
int main(void) { pthread_t thread; for (;;) pthread_create(&thread, 0, idle, 0); }
