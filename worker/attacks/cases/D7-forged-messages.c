// Tries: speaks to whoever supervises it: writes what might be the jail's messages to every descriptor it can have, and to descriptors it hopes for.
// Seen: judges whose result came over a descriptor that the program had inherited.
// Must: there is nobody to speak to; the outcome is the program's own end.
// Case: row=D7 expect=exit:42
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    const char *messages[] = {"{\"Finished\":{\"outcome\":{\"Exited\":{\"code\":0}}}}", "{\"Stands\":null}", "\"Started\"", "{\"Confined\":{\"listener\":0}}", "OK\n", "accepted\n"};
    for (int fd = 3; fd < 1024; fd++)
        for (int n = 0; n < 6; n++)
            if (write(fd, messages[n], strlen(messages[n])) >= 0 || send(fd, messages[n], strlen(messages[n]), MSG_NOSIGNAL) >= 0) { printf("ESCAPED: descriptor %d took it\n", fd); return 66; }
    if (send(0, "x", 1, MSG_NOSIGNAL) >= 0 || send(1, "x", 1, MSG_NOSIGNAL) >= 0 || send(2, "x", 1, MSG_NOSIGNAL) >= 0) { puts("ESCAPED: a stream is a socket"); return 66; }
    for (int n = 0; n < 6; n++) fprintf(stderr, "%s", messages[n]);
    return 42;
}
