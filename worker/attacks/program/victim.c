/* The honest neighbour of every case: does work whose result is known, and measures what it used itself.
 * Prints `sum CHECKSUM cpu_us N peak_kib N seen N`, where `seen` counts processes that it sees besides its own. */
#include <ctype.h>
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Touched in every page. */
#define BYTES (8u << 20)
#define ROUNDS 12

static uint64_t work(unsigned char *memory) {
    uint64_t state = 88172645463325252u, sum = 0;
    for (int round = 0; round < ROUNDS; round++)
        for (unsigned at = 0; at < BYTES; at += 8) {
            state ^= state << 13, state ^= state >> 7, state ^= state << 17;
            memory[at] ^= state;
            sum = sum * 31 + memory[at];
        }
    return sum;
}

static long peak_kib(void) {
    char line[256];
    long kib = -1;
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status))
        if (!strncmp(line, "VmHWM:", 6)) kib = atol(line + 6);
    return kib;
}

/* Processes that are neither this one nor the sandbox's own pid 1. */
static int strangers(void) {
    int seen = 0;
    DIR *proc = opendir("/proc");
    for (struct dirent *entry; proc && (entry = readdir(proc));)
        if (isdigit((unsigned char)entry->d_name[0]) && atoi(entry->d_name) != getpid() && atoi(entry->d_name) != 1) seen++;
    return seen;
}

int main(int argc, char **argv) {
    (void)argc, (void)argv;
    unsigned char *memory = calloc(1, BYTES);
    if (!memory) return 1;
    uint64_t sum = work(memory);
    struct timespec used;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used)) return 1;
    printf("sum %016llx cpu_us %lld peak_kib %ld seen %d\n", (unsigned long long)sum,
           used.tv_sec * 1000000LL + used.tv_nsec / 1000, peak_kib(), strangers());
    return 0;
}
