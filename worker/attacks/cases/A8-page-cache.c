// Tries: reads from the page cache which files of the image somebody used: mincore, cachestat, reads that must not wait.
// Seen: "Page Cache Attacks" (CVE-2019-5489).
// Must: each tells the same of every page, or nothing.
// Case: row=A8 expect=held
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    const char *paths[] = {"/usr/bin/env", "/usr/lib/os-release", "/usr/bin/perl", "/usr/bin/bash", "/etc/passwd"};
    for (unsigned n = 0; n < 5; n++) {
        char byte;
        unsigned char resident[16] = {0};
        int file = open(paths[n], O_RDONLY);
        if (file < 0) continue;
        off_t pages = (lseek(file, 0, SEEK_END) + 4095) / 4096;
        pages = pages > 16 ? 16 : pages;
        void *map = mmap(0, pages * 4096, PROT_READ, MAP_SHARED, file, 0);
        if (map != MAP_FAILED && mincore(map, pages * 4096, resident) == 0)
            for (off_t page = 0; page < pages; page++) if (!(resident[page] & 1)) { printf("ESCAPED: mincore tells of %s\n", paths[n]); return 66; }
        struct iovec one = {&byte, 1};
        if (preadv2(file, &one, 1, 0, RWF_NOWAIT) >= 0 || errno == EAGAIN) { printf("ESCAPED: RWF_NOWAIT tells of %s\n", paths[n]); return 66; }
        uint64_t range[2] = {0, 0}, told[5];
        if (syscall(451 /* cachestat */, file, range, told, 0) == 0) { printf("ESCAPED: cachestat tells of %s\n", paths[n]); return 66; }
    }
    puts("HELD");
    return 0;
}
