// Tries: fills memory, stack and tmpfs with a pattern, which the next command looks for in what the kernel gives it.
// Seen: CVE-2022-0494 and kin (uninitialised pages); judges that reuse a process.
// Must: every new page is zero.
// Case: row=A13 expect=held twice limits=memory:64M
#define _GNU_SOURCE
#include <alloca.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
enum { SIZE = 24 << 20 };
static int dirty(const unsigned char *bytes, size_t size) {
    for (size_t n = 0; n < size; n++) if (bytes[n]) return 1;
    return 0;
}
int main(int argc, char **argv) {
    int second = argc > 1 && !strcmp(argv[1], "second");
    int file = open("/tmp/f", O_CREAT | O_RDWR, 0600), memory = memfd_create("m", 0);
    if (posix_fallocate(file, 0, SIZE / 4) || ftruncate(memory, SIZE / 4)) return 1;
    unsigned char *places[] = {
        mmap(0, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | 0x4000000 /* MAP_UNINITIALIZED */, -1, 0),
        mmap(0, SIZE / 4, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0), mmap(0, SIZE / 4, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0), sbrk(SIZE / 4)};
    const size_t sizes[] = {SIZE, SIZE / 4, SIZE / 4, SIZE / 4};
    for (int n = 0; n < 4; n++) {
        if (places[n] == MAP_FAILED) return 1;
        if (!second) memset(places[n], 0xa5, sizes[n]);
        else if (dirty(places[n], sizes[n])) { printf("ESCAPED: place %d has bytes of another\n", n); return 66; }
    }
    puts("HELD");
    return 0;
}
