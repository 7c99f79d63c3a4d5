// Tries: loads a program into the kernel, and makes a map.
// Seen: CVE-2020-8835, CVE-2021-3490, CVE-2022-23222: the verifier's holes.
// Must: the sandbox ends, and the outcome names the call.
// Case: row=B11 expect=forbidden:bpf
#define _GNU_SOURCE
#include <linux/bpf.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
    (void)argc, (void)argv;
    struct bpf_insn code[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K}, {.code = BPF_JMP | BPF_EXIT}};
    union bpf_attr attribute = {.prog_type = BPF_PROG_TYPE_SOCKET_FILTER, .insn_cnt = 2, .insns = (uintptr_t)code, .license = (uintptr_t)"GPL"};
    long answer = syscall(SYS_bpf, BPF_PROG_LOAD, &attribute, sizeof attribute);
    printf("ESCAPED: bpf answered %ld\n", answer);
    return 66;
}
