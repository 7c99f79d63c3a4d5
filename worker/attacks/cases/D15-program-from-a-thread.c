// Tries: changes which thread is the process: the first one ends, another executes a program, which takes over its number.
// Seen: execve(2): all other threads vanish; supervisors that waited for one thread by ptrace or clone.
// Must: the outcome is the new program's own end.
// Case: row=D15 expect=exit:23
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>
static void *last(void *unused) {
    usleep(100000);
    execl("/bin/sh", "sh", "-c", "exit 23", (char *)0);
    return unused;
}
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    pthread_t thread;
    if (pthread_create(&thread, 0, last, 0)) return 1;
    // The thread only; pthread_exit would need a library of the image.
    syscall(SYS_exit, 0);
    return 1;
}
