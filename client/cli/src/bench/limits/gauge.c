// What `kiln bench --limits` runs in sandboxes: programs that cross a limit and say when, or that use a known amount.
//
//   gauge cpu THREADS LIMIT_US    burns CPU; each thread says `CPU_US UNIX_US`, of all together, every millisecond of CPU, near the
//                                 limit every 100 us
//   gauge wall                    sleeps
//   gauge output LIMIT_BYTES      fills stdout up to the limit, says `0 UNIX_US` on stderr, and writes one byte more
//   gauge memory LIMIT_BYTES      touches more than that; says `BYTES UNIX_US` for every 64 KiB of the last 8 MiB
//   gauge spin PROCESSES US       each burns this much CPU; says `CPU_US 0`, what they all measured of themselves
//   gauge touch BYTES             touches this much, each page once
//
// No C library: it runs in any image, starts in no time and takes next to no memory of its own.
#include <stdint.h>

typedef unsigned long word;

#if defined(__x86_64__)
enum { WRITE = 1, MMAP = 9, CLONE = 56, EXIT_GROUP = 231, WAIT4 = 61, CLOCK_GETTIME = 228, PPOLL = 271 };
static word call(word number, word a, word b, word c, word d, word e, word f) {
  register word result __asm__("rax") = number;
  register word r10 __asm__("r10") = d;
  register word r8 __asm__("r8") = e;
  register word r9 __asm__("r9") = f;
  __asm__ volatile("syscall" : "+r"(result) : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
  return result;
}
// A thread that burns too. It does not return.
static void burn_beside(word flags, word stack) {
  register word result __asm__("rax") = CLONE;
  register word r10 __asm__("r10") = 0;
  register word r8 __asm__("r8") = 0;
  __asm__ volatile("syscall\n\ttest %%rax, %%rax\n\tjnz 1f\n\tcall burn_and_say\n1:"
                   : "+r"(result) : "D"(flags), "S"(stack), "d"(0ul), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
}
__asm__(".globl _start\n_start:\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall begin\n");
#elif defined(__aarch64__)
enum { WRITE = 64, MMAP = 222, CLONE = 220, EXIT_GROUP = 94, WAIT4 = 260, CLOCK_GETTIME = 113, PPOLL = 73 };
static word call(word number, word a, word b, word c, word d, word e, word f) {
  register word x8 __asm__("x8") = number;
  register word x0 __asm__("x0") = a;
  register word x1 __asm__("x1") = b;
  register word x2 __asm__("x2") = c;
  register word x3 __asm__("x3") = d;
  register word x4 __asm__("x4") = e;
  register word x5 __asm__("x5") = f;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
}
static void burn_beside(word flags, word stack) {
  register word x8 __asm__("x8") = CLONE;
  register word x0 __asm__("x0") = flags;
  register word x1 __asm__("x1") = stack;
  register word x2 __asm__("x2") = 0;
  register word x3 __asm__("x3") = 0;
  register word x4 __asm__("x4") = 0;
  __asm__ volatile("svc 0\n\tcbnz x0, 1f\n\tbl burn_and_say\n1:" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
}
__asm__(".globl _start\n_start:\n\tmov x0, sp\n\tbl begin\n");
#else
#error "the gauge knows x86-64 and aarch64"
#endif

enum { STDOUT = 1, STDERR = 2, REALTIME = 0, OF_THE_PROCESS = 2, SIGCHLD = 17 };
enum { PAGE = 4096, STEP = 64 << 10, ANONYMOUS_SHARED = 0x21, ANONYMOUS_PRIVATE = 0x22, READ_WRITE = 3 };
// CLONE_VM, FS, FILES, SIGHAND, THREAD, SYSVSEM.
enum { THREAD = 0x50f00 };

static void leave(word code) {
  for (;;) call(EXIT_GROUP, code, 0, 0, 0, 0, 0);
}

static word microseconds(word clock) {
  word now[2] = {0, 0};
  call(CLOCK_GETTIME, clock, (word)now, 0, 0, 0, 0);
  return now[0] * 1000000 + now[1] / 1000;
}

static void say(word where, word value, word when) {
  char text[48];
  int at = sizeof text;
  text[--at] = '\n';
  do text[--at] = (char)('0' + when % 10); while (when /= 10);
  text[--at] = ' ';
  do text[--at] = (char)('0' + value % 10); while (value /= 10);
  call(WRITE, where, (word)(text + at), sizeof text - (word)at, 0, 0, 0);
}

static volatile char *map(word bytes, word flags) {
  word at = call(MMAP, 0, bytes, READ_WRITE, flags, (word)-1, 0);
  if (at > (word)-4096) leave(3);
  return (volatile char *)at;
}

static void sleep_for_ever(void) {
  for (;;) call(PPOLL, 0, 0, 0, 0, 0, 0);
}

static word cpu_limit;

// Whoever runs sees the crossing: of one thread alone, the others could pass the limit while it waits for a CPU.
__attribute__((used, noreturn)) void burn_and_say(void) {
  for (word next = 0;;) {
    word used = microseconds(OF_THE_PROCESS);
    if (used < next) continue;
    say(STDOUT, used, microseconds(REALTIME));
    next = used + (used + 5000 < cpu_limit ? 1000 : 100);
  }
}

static void cpu(word threads, word limit) {
  cpu_limit = limit;
  for (word n = 1; n < threads; n++) burn_beside(THREAD, (word)map(PAGE, ANONYMOUS_PRIVATE) + PAGE);
  burn_and_say();
}

static void output(word limit) {
  static char bytes[4096];
  for (word left = limit; left;) {
    word length = left < sizeof bytes ? left : sizeof bytes;
    word written = call(WRITE, STDOUT, (word)bytes, length, 0, 0, 0);
    if (written > length) leave(3);
    left -= written;
  }
  say(STDERR, 0, microseconds(REALTIME));
  call(WRITE, STDOUT, (word)bytes, 1, 0, 0, 0);
  sleep_for_ever();
}

static void touch(word from, word to, volatile char *memory, word near) {
  for (word at = from; at < to; at += PAGE) {
    if (near && at >= near && at % STEP == 0) say(STDOUT, at, microseconds(REALTIME));
    memory[at] = 1;
  }
}

static void memory(word limit) {
  volatile char *all = map(2 * limit, ANONYMOUS_PRIVATE);
  word near = limit > (8ul << 20) ? limit - (8ul << 20) : STEP;
  touch(0, 2 * limit, all, near);
  leave(4);
}

static word burn(word enough) {
  word began = microseconds(OF_THE_PROCESS), now;
  do now = microseconds(OF_THE_PROCESS); while (now - began < enough);
  return now - began;
}

// A child is measured from its birth: all of it is work that was asked for.
static void spin(word processes, word enough) {
  volatile word *measured = (volatile word *)map(PAGE, ANONYMOUS_SHARED);
  word began = microseconds(OF_THE_PROCESS);
  for (word n = 1; n < processes; n++) {
    if (call(CLONE, SIGCHLD, 0, 0, 0, 0, 0) == 0) {
      burn(enough);
      measured[n] = microseconds(OF_THE_PROCESS);
      leave(0);
    }
  }
  burn(enough);
  for (word n = 1; n < processes; n++) call(WAIT4, (word)-1, 0, 0, 0, 0, 0);
  word total = microseconds(OF_THE_PROCESS) - began;
  for (word n = 1; n < processes; n++) total += measured[n];
  say(STDOUT, total, 0);
}

static word number(const char *text) {
  word value = 0;
  for (; text && *text >= '0' && *text <= '9'; text++) value = value * 10 + (word)(*text - '0');
  return value;
}

void begin(word *stack) {
  word count = stack[0];
  char **words = (char **)(stack + 1);
  char what = count > 1 ? words[1][0] : 0;
  word first = count > 2 ? number(words[2]) : 0, second = count > 3 ? number(words[3]) : 0;
  switch (what) {
  case 'c': cpu(first, second); break;
  case 'w': sleep_for_ever(); break;
  case 'o': output(first); break;
  case 'm': memory(first); break;
  case 's': spin(first, second); break;
  case 't': touch(0, first, map(first, ANONYMOUS_PRIVATE), 0); break;
  default: leave(2);
  }
  leave(0);
}
