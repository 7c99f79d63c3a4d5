// Makes the system calls that it is told to, one process per call, and tells what the kernel answered to each.
//
//   census calls FILE            FILE has one call per line: NUMBER A0 A1 A2 A3 A4 A5, all hexadecimal. For the n-th it prints
//                                `n returned RESULT STATE`, `n blocked`, `n exited CODE` or `n signalled SIGNAL`; STATE is
//                                `same`, or `changed` when the caller's own state is not what it was before the call.
//   census one ABI NUMBER A0..A5 makes one call by itself: ABI is native, i386 or x32. Prints `returned RESULT`.
//   census paths FILE            FILE has one path per line. For the n-th it prints `n STAT READ WRITE`: errno of lstat, of
//                                opening for reading, of opening for writing; 0 where it went through.
//
// A call's process tells its result through shared memory, which no argument used here can reach.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef __x86_64__
#error "the census knows the calling conventions of x86-64"
#endif

#define X32_BIT 0x40000000ul

enum stage { NOT_YET, CALLING, RETURNED };

struct slot {
  volatile int stage;
  volatile long result;
  volatile int changed;
};

// Before the filter answers nothing is done, so both are taken as they are: a child that a call made (rax is 0 in it, and the
// call makes processes) ends at once, on no stack.
static long call_native(unsigned long number, const unsigned long *a) {
  register long result __asm__("rax") = (long)number;
  register unsigned long r10 __asm__("r10") = a[3];
  register unsigned long r8 __asm__("r8") = a[4];
  register unsigned long r9 __asm__("r9") = a[5];
  __asm__ volatile("syscall" : "+r"(result), "+r"(r10), "+r"(r8), "+r"(r9)
                   : "D"(a[0]), "S"(a[1]), "d"(a[2]) : "rcx", "r11", "memory");
  return result;
}

static long call_making_processes(unsigned long number, const unsigned long *a) {
  // The low byte of clone's flags is the signal that the child's end sends, SIGSTOP and SIGKILL among them, to the one that is
  // watched. So the child ends after it: an orphan's signal is SIGCHLD (reparent_leader in kernel/exit.c). But vfork's waits for it.
  int outlives = number == SYS_clone && !(a[0] & CLONE_VFORK);
  unsigned long self = outlives ? (unsigned long)getpid() : 0;
  // Below, no call may come between: it would take these registers.
  register long result __asm__("rax") = (long)number;
  register unsigned long r10 __asm__("r10") = a[3];
  register unsigned long r8 __asm__("r8") = a[4];
  register unsigned long r9 __asm__("r9") = a[5];
  register unsigned long parent __asm__("r12") = self;
  // The child may share the stack: registers only. It asks to be killed at its parent's end (prctl is 157, PR_SET_PDEATHSIG 1),
  // and pauses (34) unless that was before (getppid, 110); or it exits (60).
  __asm__ volatile("syscall\n\ttest %%rax, %%rax\n\tjnz 1f\n"
                   "2:\tmov $157, %%eax\n\tmov $1, %%edi\n\tmov $9, %%esi\n\tsyscall\n"
                   "\tmov $110, %%eax\n\tsyscall\n\tcmp %%r12d, %%eax\n\tjne 3f\n\tmov $34, %%eax\n\tsyscall\n\tjmp 2b\n"
                   "3:\tmov $60, %%eax\n\txor %%edi, %%edi\n\tsyscall\n1:"
                   : "+r"(result), "+r"(r10), "+r"(r8), "+r"(r9)
                   : "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(parent) : "rcx", "r11", "memory");
  return result;
}

// rbx and rbp are the compiler's; the sixth argument goes through rbp, the fifth through the pointer's own register.
static long call_i386(unsigned long number, const unsigned long *a) {
  long result = (long)number;
  __asm__ volatile("push %%rbx\n\tpush %%rbp\n\tmov 0(%%rdi), %%rbx\n\tmov 40(%%rdi), %%rbp\n\tmov 8(%%rdi), %%rcx\n\t"
                   "mov 16(%%rdi), %%rdx\n\tmov 24(%%rdi), %%rsi\n\tmov 32(%%rdi), %%rdi\n\tint $0x80\n\tpop %%rbp\n\tpop %%rbx"
                   : "+a"(result), "+D"(a) : : "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "memory", "cc");
  return result;
}

static int makes_processes(unsigned long number) {
  return number == SYS_clone || number == SYS_fork || number == SYS_vfork || number == SYS_clone3;
}

// What a call that is answered by the filter alone must leave as it is.
static uint64_t state(void) {
  uint64_t hash = 14695981039346656037ull;
#define MIX(value) (hash = (hash ^ (uint64_t)(value)) * 1099511628211ull)
  for (int fd = 0; fd < 16; fd++) MIX(fcntl(fd, F_GETFD));
  for (int kind = 0; kind < RLIM_NLIMITS; kind++) {
    struct rlimit limit = {0, 0};
    getrlimit(kind, &limit);
    MIX(limit.rlim_cur);
    MIX(limit.rlim_max);
  }
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  sched_getaffinity(0, sizeof cpus, &cpus);
  for (size_t i = 0; i < sizeof cpus; i++) MIX(((unsigned char *)&cpus)[i]);
  uid_t ids[6] = {0};
  getresuid(&ids[0], &ids[1], &ids[2]);
  getresgid(&ids[3], &ids[4], &ids[5]);
  for (int i = 0; i < 6; i++) MIX(ids[i]);
  MIX(getpgid(0));
  MIX(getsid(0));
  MIX(getpriority(PRIO_PROCESS, 0));
  MIX(sched_getscheduler(0));
  MIX(syscall(SYS_personality, 0xffffffff));
  MIX(prctl(PR_GET_DUMPABLE));
  mode_t mask = umask(0);
  umask(mask);
  MIX(mask);
  struct itimerval timer = {{0, 0}, {0, 0}};
  getitimer(ITIMER_REAL, &timer);
  MIX(timer.it_value.tv_sec != 0);
  char cwd[256] = "";
  MIX(syscall(SYS_getcwd, cwd, sizeof cwd));
  for (char *c = cwd; *c; c++) MIX(*c);
  sigset_t blocked;
  sigemptyset(&blocked);
  sigprocmask(SIG_SETMASK, NULL, &blocked);
  for (int s = 1; s < 32; s++) MIX(sigismember(&blocked, s));
  return hash;
}

static void make_the_call(struct slot *slot, unsigned long number, const unsigned long *args) {
  uint64_t before = state();
  slot->stage = CALLING;
  long result = makes_processes(number) ? call_making_processes(number, args) : call_native(number, args);
  slot->result = result;
  slot->changed = state() != before;
  slot->stage = RETURNED;
  _exit(0);
}

// The letter of /proc/PID/stat; 0 when it cannot be read.
static char scheduled(pid_t pid) {
  char path[64], text[512];
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  ssize_t length = read(fd, text, sizeof text - 1);
  close(fd);
  if (length <= 0) return 0;
  text[length] = 0;
  char *end = strrchr(text, ')');
  return end ? end[2] : 0;
}

// Between CALLING and RETURNED there is nothing but the call, so who sleeps there sleeps in it. Twice, 10 ms apart: some
// calls sleep for a moment (a lock, memory) and then go on.
static int sleeps_in_the_call(pid_t pid, const struct slot *slot) {
  if (slot->stage != CALLING) return 0;
  char letter = scheduled(pid);
  if (letter != 'S' && letter != 'D' && letter != 'T') return 0;
  return slot->stage == CALLING;
}

static void one_of_many(long n, struct slot *slot, unsigned long number, const unsigned long *args) {
  *slot = (struct slot){NOT_YET, 0, 0};
  fflush(stdout);
  pid_t pid = fork();
  if (pid < 0) { printf("%ld unforked %d\n", n, errno); return; }
  if (pid == 0) make_the_call(slot, number, args);
  int pidfd = (int)syscall(SYS_pidfd_open, pid, 0), asleep = 0, status = 0;
  struct pollfd end = {pidfd, POLLIN, 0};
  while (poll(&end, 1, 10) == 0 && asleep < 2) asleep = sleeps_in_the_call(pid, slot) ? asleep + 1 : 0;
  close(pidfd);
  int blocked = asleep >= 2 && slot->stage == CALLING;
  if (blocked) kill(pid, SIGKILL);
  waitpid(pid, &status, 0);
  // Processes that the call made with this one as their parent, in whatever way they signal their end.
  while (waitpid(-1, NULL, WNOHANG | __WALL) > 0) {}
  if (blocked) printf("%ld blocked\n", n);
  else if (slot->stage == RETURNED) printf("%ld returned %ld %s\n", n, slot->result, slot->changed ? "changed" : "same");
  else if (WIFSIGNALED(status)) printf("%ld signalled %d\n", n, WTERMSIG(status));
  else printf("%ld exited %d\n", n, WEXITSTATUS(status));
}

static FILE *list_at(const char *path) {
  int low = open(path, O_RDONLY | O_CLOEXEC);
  // Away from the numbers that calls are tried on.
  int fd = low < 0 ? -1 : fcntl(low, F_DUPFD_CLOEXEC, 100);
  close(low);
  FILE *list = fd < 0 ? NULL : fdopen(fd, "r");
  if (!list) { perror(path); exit(2); }
  return list;
}

static int calls(const char *path) {
  FILE *list = list_at(path);
  struct slot *slot = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (slot == MAP_FAILED) { perror("mmap"); return 2; }
  unsigned long number, a[6];
  long n = 0;
  while (fscanf(list, "%lx %lx %lx %lx %lx %lx %lx", &number, &a[0], &a[1], &a[2], &a[3], &a[4], &a[5]) == 7)
    one_of_many(n++, slot, number, a);
  printf("all %ld\n", n);
  return 0;
}

static int one(char **words) {
  unsigned long a[6] = {0}, number = strtoul(words[1], NULL, 16);
  for (int i = 0; i < 6 && words[2 + i]; i++) a[i] = strtoul(words[2 + i], NULL, 16);
  long result;
  if (!strcmp(words[0], "i386")) result = call_i386(number, a);
  else if (!strcmp(words[0], "x32")) result = call_native(number | X32_BIT, a);
  else if (makes_processes(number)) result = call_making_processes(number, a);
  else result = call_native(number, a);
  printf("returned %ld\n", result);
  return 0;
}

static int opens(const char *path, int flags) {
  int fd = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd < 0) return errno;
  close(fd);
  return 0;
}

static int paths(const char *path) {
  FILE *list = list_at(path);
  char line[4096];
  for (long n = 0; fgets(line, sizeof line, list); n++) {
    struct stat found;
    line[strcspn(line, "\n")] = 0;
    int seen = lstat(line, &found) ? errno : 0;
    printf("%ld %d %d %d\n", n, seen, opens(line, O_RDONLY), opens(line, O_WRONLY));
  }
  printf("all\n");
  return 0;
}

int main(int argc, char **argv) {
  if (argc == 3 && !strcmp(argv[1], "calls")) return calls(argv[2]);
  if (argc == 3 && !strcmp(argv[1], "paths")) return paths(argv[2]);
  if (argc >= 4 && !strcmp(argv[1], "one")) return one(argv + 2);
  fprintf(stderr, "usage: census calls FILE | census paths FILE | census one ABI NUMBER ARGUMENT...\n");
  return 2;
}
