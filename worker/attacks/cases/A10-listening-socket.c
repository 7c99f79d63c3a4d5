// Tries: a listening socket as output, and one connected to itself, for a collector that opens whatever is there.
// Seen: go-judge's tests of special files.
// Must: it comes back as "not a regular file".
// Case: row=A10 expect=held takes=/work/out:not_regular
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/work/out"};
    int server = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
    if (bind(server, (struct sockaddr *)&address, sizeof address) || listen(server, 9)) return 1;
    if (connect(client, (struct sockaddr *)&address, sizeof address)) return 1;
    if (!fork()) { setsid(); for (;;) pause(); }
    puts("HELD");
    return 0;
}
