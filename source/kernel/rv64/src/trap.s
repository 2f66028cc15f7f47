# Trap entry and exit; see trap.rs. A context holds x1..x31 at 8*n and the pc at 0.

.macro each_but_sp op, base
    \op x1, 8(\base)
    \op x3, 24(\base)
    \op x4, 32(\base)
    \op x5, 40(\base)
    \op x6, 48(\base)
    \op x7, 56(\base)
    \op x8, 64(\base)
    \op x9, 72(\base)
    \op x11, 88(\base)
    \op x12, 96(\base)
    \op x13, 104(\base)
    \op x14, 112(\base)
    \op x15, 120(\base)
    \op x16, 128(\base)
    \op x17, 136(\base)
    \op x18, 144(\base)
    \op x19, 152(\base)
    \op x20, 160(\base)
    \op x21, 168(\base)
    \op x22, 176(\base)
    \op x23, 184(\base)
    \op x24, 192(\base)
    \op x25, 200(\base)
    \op x26, 208(\base)
    \op x27, 216(\base)
    \op x28, 224(\base)
    \op x29, 232(\base)
    \op x30, 240(\base)
    \op x31, 248(\base)
.endm

.section .text.trap, "ax"
.balign 4
.globl trap_entry
trap_entry:
    csrrw sp, sscratch, sp
    beqz sp, kernel_trap
    sd t0, 40(sp)
    csrr t0, scause
    addi t0, t0, -8                 # environment call from user mode
    bnez t0, 2f

    # Syscall: keep pc (after the ecall) and sp.
    csrrw t0, sscratch, zero
    sd t0, 16(sp)
    csrr t0, sepc
    addi t0, t0, 4
    sd t0, 0(sp)
    lla sp, __stack_top
    call {on_syscall}               # a0 = context to load, a1 = context to store or 0
    bnez a1, 1f

    # The same process goes on.
    ld t0, 0(a0)
    csrw sepc, t0
    csrw sscratch, a0
    ld sp, 16(a0)
    ld a1, 88(a0)
    ld a2, 96(a0)
    ld a3, 104(a0)
    ld a4, 112(a0)
    ld a5, 120(a0)
    ld a6, 128(a0)
    ld a0, 80(a0)
    li a7, 0
    li ra, 0
    li t0, 0
    li t1, 0
    li t2, 0
    li t3, 0
    li t4, 0
    li t5, 0
    li t6, 0
    sret

1:  # Another process goes on: what the call left untouched is stored now.
    sd gp, 24(a1)
    sd tp, 32(a1)
    sd s0, 64(a1)
    sd s1, 72(a1)
    sd s2, 144(a1)
    sd s3, 152(a1)
    sd s4, 160(a1)
    sd s5, 168(a1)
    sd s6, 176(a1)
    sd s7, 184(a1)
    sd s8, 192(a1)
    sd s9, 200(a1)
    sd s10, 208(a1)
    sd s11, 216(a1)
    j load_all

2:  # Interrupt or fault: keep everything.
    ld t0, 40(sp)
    each_but_sp sd, sp
    sd a0, 80(sp)
    csrrw t0, sscratch, zero
    sd t0, 16(sp)
    csrr t0, sepc
    sd t0, 0(sp)
    csrr a0, scause
    csrr a1, stval
    lla sp, __stack_top
    call {on_trap}

load_all:
    ld t0, 0(a0)
    csrw sepc, t0
    csrw sscratch, a0
    ld sp, 16(a0)
    each_but_sp ld, a0
    ld a0, 80(a0)
    sret

    # A trap in the kernel: sscratch holds the kernel's sp, and sp is free.
kernel_trap:
    lla sp, __emergency_top
    csrr a0, scause
    csrr a1, stval
    csrr a2, sepc
    csrrw a3, sscratch, zero
    mv a4, ra
    call {on_kernel_trap}
    csrw sepc, a0
    sret                            # to supervisor mode, as sstatus.SPP says

.globl enter_user
enter_user:
    li t0, 0x100                    # sstatus.SPP: return to user mode
    csrc sstatus, t0
    j load_all
