// Tries: room that no size shows: blocks kept beyond the end, files deleted but open, files in memory of the sandbox's places.
// Seen: quotas by du; isolate's disk quota notes.
// Must: all of it counts: the disk is full at its limit.
// Case: row=C13 expect=held limits=disk:8M,memory:128M
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    const char *places[] = {"/work", "/tmp", "/dev/shm"};
    char path[64];
    int granted = 0;
    for (int n = 0; n < 60; n++) {
        int file = n % 2 ? open(places[n % 3], O_TMPFILE | O_RDWR, 0600) : -1;
        if (file < 0) {
            snprintf(path, sizeof path, "%s/%d", places[n % 3], n);
            file = open(path, O_CREAT | O_RDWR, 0600);
            unlink(path);
        }
        granted += fallocate(file, n % 3 ? 0 : FALLOC_FL_KEEP_SIZE, 0, 1 << 20) == 0;
    }
    if (granted > 8) { printf("ESCAPED: %d MiB on a disk of 8\n", granted); return 66; }
    puts(granted >= 6 ? "HELD" : "not tried: hardly anything was granted");
    return granted < 6;
}
