// Tries: sleeps in locks: a futex nobody wakes, a mutex taken twice, threads that wait for each other.
// Seen: every judge.
// Must: the wall limit ends it.
// Case: row=C4 expect=limit:wall limits=wall:700ms
#include <pthread.h>
static pthread_mutex_t first = PTHREAD_MUTEX_INITIALIZER, second = PTHREAD_MUTEX_INITIALIZER;
static void *other(void *unused) {
    pthread_mutex_lock(&second);
    pthread_mutex_lock(&first);
    return unused;
}
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    pthread_t thread;
    pthread_mutex_lock(&first);
    pthread_create(&thread, 0, other, 0);
    pthread_join(thread, 0);
    return 0;
}
