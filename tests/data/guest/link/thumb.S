/* Thumb code with each relocation that bootsim applies, and addends. */
	.syntax unified
	.arch armv7-a
	.thumb

	.section .text.thumb, "ax", %progbits
	.globl	thumb_function
	.type	thumb_function, %function
	.thumb_func
thumb_function:
	bl	kernel_function			@ R_ARM_THM_CALL, to be a BLX
	nop
	bl	kernel_function			@ from another half of a word
	blx	other_arm
	bl	other_thumb
	blx	other_thumb			@ to be a BL
	bl	other_thumb + 12
	bl	thumb_label			@ no function: stays as it is
	bl	absent				@ nobody has it: the next instruction
	b.w	other_thumb			@ R_ARM_THM_JUMP24
	b.w	other_thumb - 6
	b.w	absent
	beq.w	other_thumb			@ R_ARM_THM_JUMP19
	bne.w	thumb_label
	bx	lr

	movw	r0, #:lower16:object		@ R_ARM_THM_MOVW_ABS_NC, R_ARM_THM_MOVT_ABS
	movt	r0, #:upper16:object
	movw	r1, #:lower16:object + 0x7654
	movt	r1, #:upper16:object + 0x7654
	movw	r2, #:lower16:other_thumb
	movt	r2, #:upper16:other_thumb
	movw	r3, #:lower16:(object - .)	@ R_ARM_THM_MOVW_PREL_NC, R_ARM_THM_MOVT_PREL
	movt	r3, #:upper16:(object - .)
	movw	r4, #:lower16:(other_thumb - .)
	movt	r4, #:upper16:(other_thumb - .)
	ldr	r5, =object
	.ltorg
	.size	thumb_function, . - thumb_function

	.section .text.thumb_far, "ax", %progbits
	.space	0x3000
	.globl	other_thumb
	.type	other_thumb, %function
	.thumb_func
other_thumb:
	nop
	bx	lr
	.size	other_thumb, . - other_thumb

	.globl	thumb_label
thumb_label:
	bx	lr

	.weak	absent
