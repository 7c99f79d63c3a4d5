// Tries: makes its supervisor busy instead of itself: progress, events, wake-ups: thousands of refused calls, children, pipes written and read back.
// Seen: supervisors by ptrace or notification, which pay for each call of the job.
// Must: what is refused is refused in the kernel, at the job's own cost.
// Case: row=D13 expect=limit:cpu limits=cpu:500ms,wall:5s
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    for (;;) {
        syscall(SYS_io_uring_setup, 8, 0);
        syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
        syscall(SYS_perf_event_open, 0, 0, 0, 0, 0);
        socket(AF_NETLINK, SOCK_RAW, 0);
        ioctl(0, TIOCSTI, "x");
        kill(1, SIGTERM);
        syscall(1000, 0);
    }
}
