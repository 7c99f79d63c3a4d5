// Tries: networks without a socket: tunnel devices, vhost, PPP, and devices of its own making.
// Seen: gvisor-tap, slirp and VPN tools in containers; CVE-2023-1281's need of a network device.
// Must: no such device exists, and none can be made.
// Case: row=A3 expect=held
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    const char *paths[] = {"/dev/net/tun", "/dev/vhost-net", "/dev/vhost-vsock", "/dev/vsock", "/dev/ppp", "/dev/kvm", "/dev/fuse", "/dev/rfkill"};
    const unsigned numbers[][2] = {{10, 200}, {10, 238}, {10, 241}, {10, 121}, {108, 0}, {10, 232}, {10, 229}, {10, 242}};
    for (unsigned n = 0; n < 8; n++) {
        if (open(paths[n], O_RDWR) >= 0) { printf("ESCAPED: %s\n", paths[n]); return 66; }
        dev_t device = makedev(numbers[n][0], numbers[n][1]);
        if (mknod("/work/node", S_IFCHR | 0666, device) == 0 || mknod("/dev/shm/node", S_IFCHR | 0666, device) == 0) { printf("ESCAPED: made %s\n", paths[n]); return 66; }
    }
    puts("HELD");
    return 0;
}
