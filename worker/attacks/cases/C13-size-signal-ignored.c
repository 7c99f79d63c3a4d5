// Tries: ignores the signal of the limit of file sizes and grows files by every call, one after the other.
// Seen: setrlimit(2): with SIGXFSZ ignored the call fails with EFBIG; judges that count on the signal.
// Must: no file grows beyond the limit, by any call.
// Case: row=C13 expect=held limits=file_size:1M
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    static char block[1 << 21];
    struct iovec one = {block, sizeof block};
    struct stat status;
    signal(SIGXFSZ, SIG_IGN);
    int file = open("/work/f", O_CREAT | O_RDWR, 0644), other = open("/work/g", O_CREAT | O_RDWR, 0644), source = open("/proc/self/exe", O_RDONLY);
    for (int round = 0; round < 9; round++) {
        off_t at = 0;
        if (round == 0) (void)!write(file, block, sizeof block);
        if (round == 1) (void)!ftruncate(file, 1 << 21);
        if (round == 2) (void)!fallocate(file, 0, 0, 1 << 21);
        if (round == 3) (void)!pwritev2(file, &one, 1, 1 << 20, 0);
        if (round == 4) (void)!copy_file_range(source, &at, file, 0, 1 << 21, 0);
        if (round == 5) (void)!fallocate(file, FALLOC_FL_ZERO_RANGE, 1 << 20, 1 << 20);
        if (round == 6) (void)!truncate("/work/f", 1 << 21);
        if (round == 7) { if (lseek(other, 1 << 21, SEEK_SET) > 0) (void)!write(other, "x", 1); }
        if (round == 8) (void)!open("/work/f", O_APPEND | O_WRONLY);
        for (int which = 0; which < 2; which++)
            if (fstat(which ? other : file, &status) || status.st_size > 1 << 20) { printf("ESCAPED: round %d made %ld bytes\n", round, (long)status.st_size); return 66; }
    }
    puts("HELD");
    return 0;
}
