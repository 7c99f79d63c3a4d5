// Tries: finds and switches on network interfaces with the ioctls that any socket takes, an AF_UNIX one too.
// Seen: netdevice(7); containers that kept the host's network namespace.
// Must: there is a loopback, which is down and stays down, and nothing else.
// Case: row=A3 expect=held start
#define _GNU_SOURCE
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    int any = socket(AF_UNIX, SOCK_DGRAM, 0);
    for (int index = 1; index < 256; index++) {
        struct ifreq request = {.ifr_ifindex = index};
        if (ioctl(any, SIOCGIFNAME, &request) != 0) continue;
        if (strcmp(request.ifr_name, "lo")) { printf("ESCAPED: interface %s\n", request.ifr_name); return 66; }
        if (ioctl(any, SIOCGIFFLAGS, &request) == 0 && request.ifr_flags & IFF_UP) { puts("ESCAPED: the loopback is up"); return 66; }
        request.ifr_flags = IFF_UP;
        if (ioctl(any, SIOCSIFFLAGS, &request) == 0) { puts("ESCAPED: it could be switched on"); return 66; }
    }
    puts(any < 0 ? "not tried: no AF_UNIX socket" : "HELD");
    return any < 0;
}
