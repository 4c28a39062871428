@ SPDX-License-Identifier: GPL-2.0-only
@
@ The kernel's head: from the boot loader's jump to start_kernel(). It does what Linux does in
@ arch/arm/kernel/head.S, head-common.S and arch/arm/mm/proc-v7.S on a Cortex-A9 MPCore with one
@ CPU, so that what comes after finds the machine as it finds it there.
@
@ One CPU is what the machine has, like QEMU's with -smp 1: an SMP kernel sees that in the SCU
@ (__fixup_smp) and rewrites itself to the attributes of a uniprocessor, which are used here.
@
@ Placed at PHYS_OFFSET + TEXT_OFFSET and entered there with the MMU off:
@	r0 = 0, r1 = machine number, r2 = physical address of the device tree blob
@ It runs wherever it is placed; what a kernel's linker would have known is in head_params, which
@ the loader fills.
@
@ Registers that live through the whole of it, as in Linux:
@	r1, r2	as on entry		r4	page table (swapper_pg_dir), physical
@	r8	PHYS_OFFSET		r9	processor id (MIDR)

	.syntax unified
	.arm

#define SECTION_SHIFT	20
#define PG_DIR_SIZE	0x4000

@ Program status register: ARM ARM DDI 0406C, B1.3.3.
#define MODE_MASK	0x1f
#define SVC_MODE	0x13
#define IRQ_FIQ_MASKED	0xc0

@ Section descriptor: ARM ARM DDI 0406C, B3.5.1. Read and write for all, normal write-back memory:
@ Linux's mmuflags with PMD_FLAGS_UP, arch/arm/mm/proc-v7.S and proc-v7-2level.S. (What Linux names
@ AP_WRITE and AP_READ are AP[0] and AP[1].)
#define SECT		(2 << 0)
#define SECT_B		(1 << 2)
#define SECT_C		(1 << 3)
#define SECT_AP0	(1 << 10)
#define SECT_AP1	(1 << 11)
#define MM_MMUFLAGS	(SECT | SECT_B | SECT_C | SECT_AP0 | SECT_AP1)

@ TTBR attributes: walks through inner and outer write-back memory. ARM ARM DDI 0406C, B4.1.154;
@ TTB_FLAGS_UP in arch/arm/mm/proc-v7-2level.S.
#define TTB_RGN_WB	(3 << 3)
#define TTB_IRGN_WB	(1 << 0 | 1 << 6)
#define TTB_FLAGS	(TTB_RGN_WB | TTB_IRGN_WB)

@ TEX remap: arch/arm/mm/proc-v7-2level.S.
#define PRRR		0xff0a81a8
#define NMRR		0x40e040e0

@ SCTLR: the bits that v7_crval clears and sets, arch/arm/mm/proc-v7-2level.S; SW (bit 10) is
@ cleared with CONFIG_SWP_EMULATE, and head.S clears A (bit 1). From a Cortex-A9's reset value
@ 0x00c50078 this gives 0x10c5387d.
#define SCTLR_CLEAR	(0x2120c302 | 1 << 10)
#define SCTLR_SET	(0x10c03c7d & ~(1 << 10))
#define SCTLR_A		(1 << 1)

#define OF_DT_MAGIC	0xedfe0dd0	@ 0xd00dfeed, big-endian in the blob

@ Cortex-A9, any revision: __v7_ca9mp_proc_info in arch/arm/mm/proc-v7.S.
#define CORTEX_A9	0x410fc090
#define CORTEX_A9_MASK	0xff0ffff0

@ PL011: ARM DDI 0183, 3.3.
#define UART_DR		0x00
#define UART_FR		0x18
#define UART_FR_BUSY	(1 << 3)
#define UART_FR_TXFF	(1 << 5)

	.section .text, "ax"
	.globl	stext
stext:
	mrs	r9, cpsr
	bic	r9, r9, #MODE_MASK
	orr	r9, r9, #(SVC_MODE | IRQ_FIQ_MASKED)
	msr	cpsr_c, r9

	mrc	p15, 0, r9, c0, c0, 0		@ processor id
	ldr	r3, =CORTEX_A9_MASK
	ldr	r5, =CORTEX_A9
	and	r3, r3, r9
	teq	r3, r5
	bne	error_p

	adr	r8, stext			@ PHYS_OFFSET
	ldr	r3, text_offset
	sub	r8, r8, r3

	tst	r2, #3				@ the blob: aligned, and with its magic?
	bne	error_unaligned_dtb
	ldr	r3, [r2]
	ldr	r5, =OF_DT_MAGIC
	cmp	r3, r5
	bne	error_dtb

	bl	create_page_tables
	bl	v7_setup			@ r0 = SCTLR to be

	ldr	r3, page_offset			@ where mmap_switched will be seen
	sub	r3, r3, r8
	adr	r13, mmap_switched
	add	r13, r13, r3
	b	turn_mmu_on

@ The first page table: the code that turns the MMU on where it is, the kernel and the blob where
@ they will be. Corrupts r0, r3, r5-r7; r4 = the table.
create_page_tables:
	ldr	r4, text_offset
	add	r4, r4, r8
	sub	r4, r4, #PG_DIR_SIZE

	mov	r0, r4				@ nothing mapped
	mov	r3, #0
	add	r6, r4, #PG_DIR_SIZE
1:	str	r3, [r0], #4
	str	r3, [r0], #4
	str	r3, [r0], #4
	str	r3, [r0], #4
	teq	r0, r6
	bne	1b

	ldr	r7, =MM_MMUFLAGS

	adr	r5, turn_mmu_on			@ its section or two, virtual = physical
	adr	r6, turn_mmu_on_end
	mov	r5, r5, lsr #SECTION_SHIFT
	mov	r6, r6, lsr #SECTION_SHIFT
1:	orr	r3, r7, r5, lsl #SECTION_SHIFT
	str	r3, [r4, r5, lsl #2]
	cmp	r5, r6
	addlo	r5, r5, #1
	blo	1b

	ldr	r0, page_offset			@ PAGE_OFFSET .. _end onto PHYS_OFFSET ..
	add	r0, r4, r0, lsr #(SECTION_SHIFT - 2)
	ldr	r6, kernel_end
	sub	r6, r6, #1
	mov	r6, r6, lsr #SECTION_SHIFT
	add	r6, r4, r6, lsl #2
	orr	r3, r8, r7
1:	str	r3, [r0], #4
	add	r3, r3, #(1 << SECTION_SHIFT)
	cmp	r0, r6
	bls	1b

	mov	r6, r2, lsr #SECTION_SHIFT	@ two sections for the blob, which may cross one
	mov	r6, r6, lsl #SECTION_SHIFT
	ldr	r3, fdt_fixed_base
	cmp	r3, #0				@ newer kernels have a fixed place for it
	bne	2f
	ldr	r3, page_offset			@ older ones the linear map
	sub	r3, r3, r8
	add	r3, r3, r6
2:	mov	r3, r3, lsr #SECTION_SHIFT
	add	r3, r4, r3, lsl #2
	orr	r6, r6, r7
	str	r6, [r3], #4
	add	r6, r6, #(1 << SECTION_SHIFT)
	str	r6, [r3]
	bx	lr

@ CP15 made ready for the MMU. Corrupts r3, r5; r0 = SCTLR to be.
v7_setup:
	mov	r0, #0
	mcr	p15, 0, r0, c7, c5, 0		@ ICIALLU: instruction cache, branch predictor
	mcr	p15, 0, r0, c8, c7, 0		@ TLBIALL
	mcr	p15, 0, r0, c2, c0, 2		@ TTBCR: TTBR0 for all of the address space
	orr	r3, r4, #TTB_FLAGS
	mcr	p15, 0, r3, c2, c0, 0		@ TTBR0
	mcr	p15, 0, r3, c2, c0, 1		@ TTBR1
	ldr	r3, =PRRR
	ldr	r5, =NMRR
	mcr	p15, 0, r3, c10, c2, 0
	mcr	p15, 0, r5, c10, c2, 1
	ldr	r3, dacr
	mcr	p15, 0, r3, c3, c0, 0
	dsb

	mrc	p15, 0, r0, c1, c0, 0
	ldr	r3, =SCTLR_CLEAR
	ldr	r5, =SCTLR_SET
	bic	r0, r0, r3
	orr	r0, r0, r5
	bic	r0, r0, #SCTLR_A
	bx	lr

@ Here the address space changes under the code: r0 = SCTLR, r13 = the virtual address to go to.
	.align	5
	.globl	turn_mmu_on
turn_mmu_on:
	isb
	mcr	p15, 0, r0, c1, c0, 0
	mrc	p15, 0, r3, c0, c0, 0		@ what follows waits for the write
	isb
	bx	r13
turn_mmu_on_end:

@ From here on in the linear map: a stack, and what start_kernel() wants to know.
	.globl	mmap_switched
mmap_switched:
	adr	r3, after_mmu
	ldmia	r3, {r4, r5, r6, r7, r10, sp}
	str	r9, [r4]			@ processor_id
	str	r1, [r5]			@ __machine_arch_type
	str	r2, [r6]			@ __atags_pointer
	str	r0, [r7]			@ cr_alignment
	mov	fp, #0
	mov	lr, #0
	bx	r10				@ start_kernel

	.ltorg

@ Nothing can be done about these but to say so: on the UART, if the loader gave one, in the words
@ that Linux has for it (arch/arm/kernel/head-common.S and setup.c). The MMU is off.
error_p:
	adr	r0, str_processor
	bl	printascii
	mov	r0, r9
	bl	printhex8
	adr	r0, str_processor_end
	bl	printascii
	b	error

error_unaligned_dtb:
	bl	print_dtb_error
	b	error

error_dtb:
	bl	print_dtb_error
	adr	r0, str_r2_bytes
	bl	printascii
	mov	r6, #0				@ 16 bytes, apart: "d0 0d fe ed ..."
1:	ldrb	r0, [r2, r6]
	mov	r7, #2
	bl	printhex
	add	r6, r6, #1
	cmp	r6, #16
	movlo	r0, #' '
	movhs	r0, #'\n'
	bl	printch
	cmp	r6, #16
	blo	1b

	.globl	error
error:
	b	error

print_dtb_error:
	mov	r10, lr
	adr	r0, str_dtb
	bl	printascii
	mov	r0, r1
	bl	printhex8
	adr	r0, str_r2
	bl	printascii
	mov	r0, r2
	bl	printhex8
	mov	r0, #'\n'
	bl	printch
	bx	r10

@ r0 = string. Corrupts r0, r3, r5, r11, r12.
printascii:
	mov	r11, lr
	mov	r12, r0
1:	ldrb	r0, [r12], #1
	cmp	r0, #0
	bxeq	r11
	bl	printch
	b	1b

@ r0 = value. Corrupts r0, r3, r5, r7, r11, r12.
printhex8:
	mov	r7, #8
@ The lowest r7 digits of r0.
printhex:
	mov	r11, lr
	rsb	r12, r7, #8
	lsl	r12, r12, #2
	lsl	r12, r0, r12
1:	lsr	r0, r12, #28
	cmp	r0, #10
	addlo	r0, r0, #'0'
	addhs	r0, r0, #('a' - 10)
	bl	printch
	lsl	r12, r12, #4
	subs	r7, r7, #1
	bne	1b
	bx	r11

@ r0 = character, "\n" as "\r\n". Corrupts r3, r5.
printch:
	ldr	r3, uart
	cmp	r3, #0
	bxeq	lr
	cmp	r0, #'\n'
	bne	2f
	mov	r0, #'\r'
	mov	r5, lr
	bl	2f
	mov	lr, r5
	mov	r0, #'\n'
2:	ldr	r13, [r3, #UART_FR]
	tst	r13, #UART_FR_TXFF
	bne	2b
	strb	r0, [r3, #UART_DR]
3:	ldr	r13, [r3, #UART_FR]
	tst	r13, #UART_FR_BUSY
	bne	3b
	bx	lr

	.align	2			@ words, as adr reaches further to them
str_dtb:
	.ascii	"\nError: invalid dtb and unrecognized/unsupported machine ID\n"
	.asciz	"  r1=0x"
	.align	2
str_r2:
	.asciz	", r2=0x"
	.align	2
str_r2_bytes:
	.asciz	"  r2[]="
	.align	2
str_processor:
	.asciz	"\nError: unrecognized/unsupported processor variant (0x"
	.align	2
str_processor_end:
	.asciz	").\n"

@ Filled by the loader: bootsim/machine/firmware.py, _HEAD_PARAMS. Keep both in this order.
	.align	2
	.globl	head_params
head_params:
text_offset:		.word	0
page_offset:		.word	0
kernel_end:		.word	0	@ _end, virtual
fdt_fixed_base:		.word	0	@ virtual; 0: the blob is seen in the linear map
dacr:			.word	0
uart:			.word	0	@ physical; 0: stay silent
after_mmu:				@ virtual addresses
	.word	0			@ processor_id
	.word	0			@ __machine_arch_type
	.word	0			@ __atags_pointer
	.word	0			@ cr_alignment
	.word	0			@ start_kernel
	.word	0			@ stack pointer
