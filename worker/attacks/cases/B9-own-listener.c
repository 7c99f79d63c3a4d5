// Tries: puts a filter of its own above the sandbox's, with a listener that would answer "continue" to what the sandbox asks about.
// Seen: seccomp_unotify(2): the most recent filter with the same answer is asked first; sandlock issue 240.
// Must: no filter and no strict mode can be added.
// Case: row=B9 expect=held layer=seccomp
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    struct sock_filter code[] = {{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_USER_NOTIF}};
    struct sock_fprog program = {1, code};
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program) != -1 || errno != ENOSYS) { puts("ESCAPED: a listener"); return 66; }
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != -1 || errno != ENOSYS) { puts("ESCAPED: a filter"); return 66; }
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0 || errno != EINVAL) { puts("ESCAPED: a filter by prctl"); return 66; }
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0 || errno != EINVAL) { puts("ESCAPED: strict mode"); return 66; }
    if (prctl(PR_GET_SECCOMP) != SECCOMP_MODE_FILTER) { puts("ESCAPED: no filter any more"); return 66; }
    puts("HELD");
    return 0;
}
