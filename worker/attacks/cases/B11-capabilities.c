// Tries: gets capabilities back: by capset, by the ambient set, by keeping them over a change of id, by a program's file attributes.
// Seen: CVE-2022-24122's kin; libcap's own example of ambient capabilities.
// Must: every set stays empty, and none can be raised.
// Case: row=B11 expect=held start
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct all[2] = {{~0U, ~0U, ~0U}, {~0U, ~0U, ~0U}}, held[2];
    prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
    for (unsigned capability = 0; capability < 64; capability++) {
        struct __user_cap_data_struct one[2] = {{0, 0, 0}, {0, 0, 0}};
        one[capability / 32].effective = one[capability / 32].permitted = one[capability / 32].inheritable = 1U << (capability & 31);
        // A number that this kernel does not know is left out silently: what counts is what capget says afterwards.
        if (capability < 38 && syscall(SYS_capset, &header, one) == 0) { printf("ESCAPED: capability %u\n", capability); return 66; }
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) == 0) { printf("ESCAPED: ambient %u\n", capability); return 66; }
    }
    syscall(SYS_capset, &header, all);
    if (syscall(SYS_capget, &header, held) || held[0].permitted || held[1].permitted || held[0].effective || held[0].inheritable || held[1].inheritable) { puts("ESCAPED: holds some"); return 66; }
    unsigned attribute[5] = {0x02000001, ~0U, ~0U, ~0U, ~0U};
    close(open("/work/program", O_CREAT | O_WRONLY, 0755));
    if (setxattr("/work/program", "security.capability", attribute, sizeof attribute, 0) == 0 || setxattr("/proc/self/exe", "security.capability", attribute, sizeof attribute, 0) == 0) { puts("ESCAPED: a program with capabilities"); return 66; }
    if (prctl(PR_SET_SECUREBITS, 0x2f, 0, 0, 0) == 0) { puts("ESCAPED: secure bits"); return 66; }
    puts("HELD");
    return 0;
}
