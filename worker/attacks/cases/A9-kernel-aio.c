// Tries: the older way to have the kernel do work later: io_setup and io_submit.
// Seen: CVE-2014-0206, CVE-2016-10044 (aio mappings were executable); isolate NEWS 2.6 for its successor.
// Must: there are no such calls.
// Case: row=A9 expect=held layer=seccomp
#define _GNU_SOURCE
#include <errno.h>
#include <linux/aio_abi.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    aio_context_t context = 0;
    char text[] = "ESCAPED: written by the kernel\n";
    struct iocb request = {.aio_lio_opcode = IOCB_CMD_PWRITE, .aio_fildes = 1, .aio_buf = (unsigned long)text, .aio_nbytes = sizeof text - 1};
    struct iocb *requests[] = {&request};
    long made = syscall(SYS_io_setup, 4, &context);
    if (made == 0 || errno != ENOSYS) { printf("ESCAPED: io_setup answered %ld, errno %d\n", made, errno); return 66; }
    if (syscall(SYS_io_submit, context, 1, requests) != -1 || errno != ENOSYS) { puts("ESCAPED: io_submit"); return 66; }
    puts("HELD");
    return 0;
}
