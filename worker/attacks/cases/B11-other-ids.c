// Tries: becomes another user, by every call that sets an id, and undoes the promise of no new privileges.
// Seen: judges that run jobs as root of a namespace; CVE-2018-18955: ids that map to root outside.
// Must: the ids stay what they are in every set, and no_new_privs cannot be taken back.
// Case: row=B11 expect=held start
#define _GNU_SOURCE
#include <grp.h>
#include <stdio.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    const uid_t ids[] = {0, 1, 999, 65533, 65534, 65535, 100000};
    const gid_t groups[] = {0, 27, 999};
    uid_t real, effective, saved;
    for (int n = 0; n < 7; n++) {
        if (setuid(ids[n]) == 0 || seteuid(ids[n]) == 0 || setreuid(-1, ids[n]) == 0 || setresuid(-1, -1, ids[n]) == 0) { printf("ESCAPED: uid %u\n", ids[n]); return 66; }
        if (setgid(ids[n]) == 0 || setegid(ids[n]) == 0 || setregid(-1, ids[n]) == 0 || setresgid(-1, -1, ids[n]) == 0) { printf("ESCAPED: gid %u\n", ids[n]); return 66; }
        setfsuid(ids[n]), setfsgid(ids[n]);
        if ((uid_t)setfsuid(-1) == ids[n] || (gid_t)setfsgid(-1) == ids[n]) { printf("ESCAPED: file system id %u\n", ids[n]); return 66; }
    }
    if (setgroups(3, groups) == 0 || setgroups(0, 0) == 0 || getgroups(0, 0) > 0) { puts("ESCAPED: groups"); return 66; }
    if (getresuid(&real, &effective, &saved) || real != effective || effective != saved || real == 0) { puts("ESCAPED: a saved id"); return 66; }
    if (prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) { puts("ESCAPED: new privileges"); return 66; }
    puts("HELD");
    return 0;
}
