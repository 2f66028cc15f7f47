# Entry from OpenSBI, physical addresses, satp = 0: a0 = hart, a1 = device tree (unused: the
# machine is fixed). `.bss` is zero because the image file holds it.
.section .text.boot, "ax"
.globl _start
_start:
    li a1, {no_hart}
    csrw sie, zero
    csrci sstatus, 2                # SIE: the kernel never takes an interrupt
    mv s0, a0
    mv s1, a1
    li s3, {offset}
    lla sp, __stack_top             # physical: the early space maps it writable there
    lla t0, 1f
    add t0, t0, s3
    csrw stvec, t0                  # the fetch after satp faults, to the final address
    lla t0, {early_root}
    srli t0, t0, 12
    li t1, 8 << 60
    or t0, t0, t1
    sfence.vma
    csrw satp, t0
    sfence.vma
    .balign 4
1:  call {build_tables}
    lla t0, {kernel_root}
    sub t0, t0, s3
    srli t0, t0, 12
    li t1, 8 << 60
    or t0, t0, t1
    csrw satp, t0
    j high

# Entry of a hart the kernel started: a0 = hart, a1 = the hart it came from.
.globl hart_entry
hart_entry:
    csrw sie, zero
    csrci sstatus, 2
    mv s0, a0
    mv s1, a1
    li s3, {offset}
    lla t0, high
    add t0, t0, s3
    csrw stvec, t0
    lla t0, {kernel_root}
    srli t0, t0, 12
    li t1, 8 << 60
    or t0, t0, t1
    sfence.vma
    csrw satp, t0
    sfence.vma
    .balign 4
high:
    sfence.vma
    lla sp, __stack_top
    csrw sscratch, zero             # in the kernel
    lla t0, trap_entry
    csrw stvec, t0
    mv a0, s0
    mv a1, s1
    li fp, 0
    li ra, 0
    tail {main}
