// Tries: memory that belongs to no process for long: shared maps whose makers die, kept by one idle child.
// Seen: meters that add up the resident memory of processes.
// Must: the memory limit counts it.
// Case: row=C6 expect=limit:memory
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
enum { EACH = 16 << 20, COUNT = 8 };
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    void *maps[COUNT];
    for (int n = 0; n < COUNT; n++) {
        maps[n] = mmap(0, EACH, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (maps[n] == MAP_FAILED) return 1;
    }
    for (int n = 0; n < COUNT; n++) {
        if (!fork()) { memset(maps[n], 1, EACH); _exit(0); }
        wait(0);
    }
    puts("ESCAPED: 128 MiB in shared maps");
    return 66;
}
