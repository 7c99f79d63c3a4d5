// Tries: channels between sandboxes that namespaces do not divide: leases, directory notification, vsock.
// Seen: isolate NEWS 2.4.
// Must: each is refused. (Keyrings: B11.)
// Case: row=A8 expect=held
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
int main(void) {
    int file = open("/usr/bin/env", O_RDONLY), directory = open("/usr", O_RDONLY);
    if (file >= 0 && fcntl(file, F_SETLEASE, F_RDLCK) == 0) { puts("ESCAPED: a lease on an image's inode"); return 66; }
    if (directory >= 0 && fcntl(directory, F_NOTIFY, DN_ACCESS) == 0) { puts("ESCAPED: notification"); return 66; }
    if (socket(AF_VSOCK, SOCK_STREAM, 0) >= 0) { puts("ESCAPED: AF_VSOCK"); return 66; }
    puts("HELD");
    return 0;
}
