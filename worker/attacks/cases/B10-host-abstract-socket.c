// Tries: the host's abstract sockets in every type, by connecting, by sending, and by binding the same name to prove that it is another world.
// Seen: Landlock's documentation before ABI 6; containerd-shim CVE-2020-15257.
// Must: nobody answers, and the name is free.
// Case: row=B10 expect=held args={canary_abstract}
#define _GNU_SOURCE
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
int main(int argc, char **argv) {
    const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    const char *names[] = {argc > 1 ? argv[1] : "nothing", "/containerd-shim/a.sock", "/tmp/dbus-0", "/org/kernel/linux/storage/multipathd", "/tmp/.X11-unix/X0"};
    for (int type = 0; type < 3; type++)
        for (int n = 0; n < 5; n++) {
            struct sockaddr_un name = {.sun_family = AF_UNIX};
            socklen_t length = offsetof(struct sockaddr_un, sun_path) + 1 + (socklen_t)strlen(names[n]);
            strncpy(name.sun_path + 1, names[n], sizeof name.sun_path - 2);
            int client = socket(AF_UNIX, types[type], 0);
            if (client < 0) { puts("not tried: no sockets"); return 1; }
            if (connect(client, (struct sockaddr *)&name, length) == 0) { printf("ESCAPED: %s\n", names[n]); return 66; }
            if (sendto(client, "x", 1, 0, (struct sockaddr *)&name, length) > 0) { printf("ESCAPED: sent to %s\n", names[n]); return 66; }
            if (bind(client, (struct sockaddr *)&name, length) != 0) { printf("ESCAPED: %s is taken\n", names[n]); return 66; }
        }
    puts("HELD");
    return 0;
}
