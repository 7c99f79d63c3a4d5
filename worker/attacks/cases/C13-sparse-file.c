// Tries: a file of an exabyte that takes no room, by truncate, by seeking, by a hole in the middle.
// Seen: collectors that allocate by apparent size; go-judge's copy-out.
// Must: the limit of file sizes ends it.
// Case: row=C13 expect=limit:file_size limits=file_size:4M takes=/work/out:any
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    int file = open("/work/out", O_CREAT | O_RDWR, 0644);
    int grown = ftruncate(file, 1L << 50);
    long written = pwrite(file, "x", 1, 1L << 50);
    printf("ESCAPED: truncate answered %d, pwrite %ld\n", grown, written);
    return 66;
}
