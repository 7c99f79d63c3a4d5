// Tries: a flood that no write(2) makes: splice, tee, vmsplice and sendfile of the same few pages.
// Seen: counters in a traced write(); CVE-2022-0847's calls.
// Must: the output limit ends it.
// Case: row=C11 expect=limit:output
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    int ends[2], file = open("/work/f", O_CREAT | O_RDWR, 0600);
    struct iovec page = {aligned_alloc(4096, 65536), 65536};
    if (pipe(ends) || posix_fallocate(file, 0, 65536)) return 1;
    for (;;) {
        off_t start = 0;
        if (splice(file, &start, ends[1], 0, 16384, 0) > 0) { tee(ends[0], 1, 16384, 0); splice(ends[0], 0, 1, 0, 16384, SPLICE_F_MOVE); }
        vmsplice(1, &page, 1, SPLICE_F_GIFT);
        start = 0;
        if (sendfile(1, file, &start, 65536) < 0) return 1;
    }
}
