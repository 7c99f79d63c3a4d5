# For each number on stdin: how many steps its Collatz sequence takes to reach 1, and the highest value on the way.
# x86-64, System V calling convention, linked with the C library.
        .section .rodata
input:  .asciz  "%lu"
output: .asciz  "%lu: %lu steps, highest %lu\n"

        .text
        .globl  main
main:
        push    %rbp
        mov     %rsp, %rbp
        push    %rbx
        sub     $24, %rsp               # -16(%rbp) is the number; the stack stays aligned to 16
next:
        lea     input(%rip), %rdi
        lea     -16(%rbp), %rsi
        xor     %eax, %eax
        call    scanf
        cmp     $1, %eax
        jne     done

        mov     -16(%rbp), %rax         # the current value
        xor     %edx, %edx              # steps
        mov     %rax, %rcx              # highest
        test    %rax, %rax
        jz      print
step:
        cmp     $1, %rax
        je      print
        inc     %rdx
        test    $1, %al
        jnz     odd
        shr     $1, %rax
        jmp     step
odd:
        lea     1(%rax,%rax,2), %rax
        cmp     %rcx, %rax
        cmova   %rax, %rcx
        jmp     step
print:
        lea     output(%rip), %rdi
        mov     -16(%rbp), %rsi
        xor     %eax, %eax
        call    printf
        jmp     next
done:
        xor     %edi, %edi
        call    fflush
        xor     %eax, %eax
        add     $24, %rsp
        pop     %rbx
        pop     %rbp
        ret
        .section .note.GNU-stack,"",@progbits
