// Tries: calls that hardly any program makes and that have had their holes: old, new and half-finished ones.
// Seen: CVE-2016-0728's kin: rarely used calls are rarely tested; sandlock issue 240.
// Must: each answers as a kernel that has never heard of it.
// Case: row=B9 expect=held start layer=seccomp
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    const long calls[] = {
#ifdef __x86_64__
        SYS_modify_ldt, SYS_uselib, SYS__sysctl, SYS_ustat, SYS_sysfs, SYS_create_module, SYS_get_kernel_syms, SYS_query_module, SYS_getpmsg, SYS_putpmsg,
        SYS_afs_syscall, SYS_tuxcall, SYS_security, SYS_vserver,
#endif
        SYS_nfsservctl, SYS_remap_file_pages, SYS_mq_open, SYS_mq_notify, SYS_kcmp, SYS_io_setup,
        SYS_io_destroy, SYS_io_getevents, SYS_fanotify_init, SYS_fanotify_mark, SYS_name_to_handle_at, 440 /* process_madvise */, 447 /* memfd_secret */,
        448 /* process_mrelease */, 453 /* map_shadow_stack */, 457 /* statmount */, 458 /* listmount */, 459, 460, 461 /* lsm_* */, 470 /* listns */};
    for (unsigned n = 0; n < sizeof calls / sizeof *calls; n++) {
        errno = 0;
        long answer = syscall(calls[n], 0, 0, 0, 0, 0, 0);
        if (answer != -1 || errno != ENOSYS) { printf("ESCAPED: call %ld answered %ld, errno %d\n", calls[n], answer, errno); return 66; }
    }
    puts("HELD");
    return 0;
}
