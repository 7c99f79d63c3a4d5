// Tries: kernel memory in small objects: record locks, timers and epoll entries, as many as it gets.
// Seen: CVE-2022-0480: record locks are charged to nobody; its mend was taken back for its cost.
// Must: strict refuses record locks; a bound stops the rest (default allows the locks: SECURITY.md).
// Case: row=C6 expect=limit:memory|held profile=strict limits=memory:16M,open_files:1024
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    long locks = 0, timers = 0, entries = 0;
    int poll = epoll_create1(0), ends[2];
    struct sigevent silent = {.sigev_notify = SIGEV_NONE};
    struct epoll_event event = {.events = EPOLLIN};
    timer_t timer;
    if (pipe(ends)) return 1;
    while (timers < 100000 && timer_create(CLOCK_MONOTONIC, &silent, &timer) == 0) timers++;
    // Few in each file: the kernel goes through a file's locks one by one.
    for (int n = 0; n < 900; n++) {
        char path[32];
        snprintf(path, sizeof path, "/work/%d", n);
        int file = open(path, O_CREAT | O_RDWR, 0600);
        if (file < 0) break;
        entries += epoll_ctl(poll, EPOLL_CTL_ADD, dup2(ends[0], 1000 + n % 20), &event) == 0;
        for (int at = 0; at < 300; at++, locks++) {
            struct flock one = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = at * 2, .l_len = 1};
            if (fcntl(file, F_SETLK, &one)) break;
        }
    }
    // Each is more than 150 bytes of the kernel's.
    if (locks + timers > 200000) { printf("ESCAPED: %ld locks, %ld timers, %ld entries in 16 MiB\n", locks, timers, entries); return 66; }
    printf("HELD: %ld locks, %ld timers, %ld entries\n", locks, timers, entries);
    return 0;
}
