// Tries: burns CPU where a naive meter does not look: in unreaped children, grandchildren and threads.
// Seen: every judge that measures one process.
// Must: the CPU limit counts all of it.
// Case: row=C3 expect=limit:cpu limits=cpu:600ms
#include <pthread.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>
static void *burn(void *nothing) { for (volatile unsigned long n = 0;; n++); }
int main(void) {
    if (!fork()) { setsid(); if (!fork()) burn(0); _exit(0); }
    if (!fork()) { pthread_t thread; pthread_create(&thread, 0, burn, 0); for (;;) pause(); }
    for (;;) pause();
}
