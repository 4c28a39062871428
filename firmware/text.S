@ SPDX-License-Identifier: GPL-2.0-only
@
@ Guest code of the model kernel: placed at _stext, where it stays executable once paging_init() has
@ made the rest of the linear map execute-never. It runs wherever it is placed. All but the traps
@ are functions by the AAPCS, arguments in r0-r3, result in r0.

	.syntax unified
	.arm

	.macro	function name
	.globl	\name
\name:
	.endm

	.section .text, "ax"

@ Where the CPU hands over to Python: the slots between traps and traps_end. A function that Python
@ serves branches to its slot, so that a debugger at the function still sees the call as it was.
	.globl	traps
traps:
trap_start_kernel:
	bx	lr
	.globl	traps_end
traps_end:

function start_kernel
	b	trap_start_kernel

@ CP15: ARM ARM DDI 0406C, B4.1. Names as in arch/arm/include/asm/{cputype,cp15,cachetype}.h.
	.macro	read_cp15 name, crn, op1, crm, op2
	function \name
	mrc	p15, \op1, r0, \crn, \crm, \op2
	bx	lr
	.endm

	read_cp15 read_cpuid_id,	c0, 0, c0, 0	@ MIDR
	read_cp15 read_cpuid_cachetype,	c0, 0, c0, 1	@ CTR
	read_cp15 read_cpuid_mpidr,	c0, 0, c0, 5	@ MPIDR
	read_cp15 read_cpuid_mmfr0,	c0, 0, c1, 4	@ ID_MMFR0
	read_cp15 read_ccsidr,		c0, 1, c0, 0	@ CCSIDR of the cache that CSSELR names
	read_cp15 get_cr,		c1, 0, c0, 0	@ SCTLR
	read_cp15 get_ttbr0,		c2, 0, c0, 0	@ TTBR0
	read_cp15 get_ttbcr,		c2, 0, c0, 2	@ TTBCR
	read_cp15 get_dacr,		c3, 0, c0, 0	@ DACR

function set_csselr			@ void (u32 level and kind of cache)
	mcr	p15, 2, r0, c0, c0, 0
	isb
	bx	lr

function local_flush_tlb_all		@ void (void)
	mov	r0, #0
	dsb
	mcr	p15, 0, r0, c8, c7, 0		@ TLBIALL
	dsb
	isb
	bx	lr

function call_return			@ what a call from Python comes back to; the CPU stops there
	b	call_return

@ Probes: memory as the guest's own loads and stores see it.
function guest_load8			@ u8 (const u8 *)
	ldrb	r0, [r0]
	bx	lr

function guest_load32			@ u32 (const u32 *)
	ldr	r0, [r0]
	bx	lr

function guest_store8			@ void (u8 *, u8)
	strb	r1, [r0]
	bx	lr

function guest_store32			@ void (u32 *, u32)
	str	r1, [r0]
	bx	lr

function guest_memset			@ void *(void *, u8, size)
	mov	r3, r0
1:	subs	r2, r2, #1
	strbhs	r1, [r3], #1
	bhi	1b
	bx	lr

function guest_memcmp			@ int (const void *, const void *, size): as in C
	mov	r3, r0
	mov	r0, #0
1:	subs	r2, r2, #1
	bxlo	lr
	ldrb	r0, [r3], #1
	ldrb	r12, [r1], #1
	subs	r0, r0, r12
	beq	1b
	bx	lr

function guest_find_nonzero		@ const u8 *(const u8 *, size)
	mov	r2, #0
	@ fall through

function guest_find_not			@ const u8 *(const u8 *start, size, u8 byte):
	push	{r4-r9, lr}		@ the first byte that differs from byte, or 0
	and	r2, r2, #0xff
1:	tst	r0, #3			@ bytes up to a word
	beq	2f
	subs	r1, r1, #1
	blo	6f
	ldrb	r3, [r0]
	cmp	r3, r2
	popne	{r4-r9, pc}
	add	r0, r0, #1
	b	1b
2:	orr	r3, r2, r2, lsl #8	@ then six words at a time
	orr	r3, r3, r3, lsl #16
3:	subs	r1, r1, #24
	blo	4f
	ldmia	r0, {r4-r9}
	cmp	r4, r3
	cmpeq	r5, r3
	cmpeq	r6, r3
	cmpeq	r7, r3
	cmpeq	r8, r3
	cmpeq	r9, r3
	addeq	r0, r0, #24
	beq	3b
4:	add	r1, r1, #24		@ and the rest, or where they differed, bytes again
5:	subs	r1, r1, #1
	blo	6f
	ldrb	r3, [r0]
	cmp	r3, r2
	popne	{r4-r9, pc}
	add	r0, r0, #1
	b	5b
6:	mov	r0, #0
	pop	{r4-r9, pc}
