/* Shared by the C6 cases: takes memory in one place until it is refused; what refused says how. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
static char block[1 << 20];
static int refused(const char *what) {
    int error = errno;
    printf("HELD: %s: errno %d: %s\n", what, error, strerror(error));
    errno = error;
    return 0;
}
/* Fills a file until it is refused. */
static int fill(int file, const char *what) {
    memset(block, 'x', sizeof block);
    if (file < 0) return refused(what);
    while (write(file, block, sizeof block) > 0) {}
    return refused(what);
}
static int fill_path(const char *path) {
    return fill(open(path, O_CREAT | O_WRONLY, 0600), path);
}
