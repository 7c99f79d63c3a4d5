// Tries: opens the host's root directory by its number, from a descriptor of any mount.
// Seen: The "shocker" escape from Docker, 2014.
// Must: the sandbox ends, and the outcome names the call.
// Case: row=B11 expect=forbidden:open_by_handle_at
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    struct { struct file_handle head; unsigned number[2]; } root = {{.handle_bytes = 8, .handle_type = 1}, {2, 0}};
    int mount = open("/etc/passwd", O_RDONLY);
    long answer = open_by_handle_at(mount, &root.head, O_RDONLY);
    printf("ESCAPED: open_by_handle_at answered %ld\n", answer);
    return 66;
}
