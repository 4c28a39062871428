/* ARM code with each relocation that bootsim applies, and addends. */
	.syntax unified
	.arch armv7-a
	.arm

	.section .text.arm, "ax", %progbits
	.globl	arm_function
	.type	arm_function, %function
arm_function:
	bl	kernel_function			@ R_ARM_CALL
	bl	thumb_function			@ to be a BLX
	blx	thumb_function
	blx	kernel_function			@ to be a BL
	bl	other_arm + 16
	bl	plain_label			@ no function: stays as it is
	bl	absent				@ nobody has it: the next instruction
	bleq	kernel_function			@ R_ARM_JUMP24
	b	kernel_function
	bne	other_arm - 8
	b	absent
	.reloc	., R_ARM_PC24, kernel_function
	.inst	0xebfffffe
	.reloc	., R_ARM_PLT32, kernel_function
	.inst	0xebfffffe
	.reloc	., R_ARM_V4BX, 0
	bx	lr

	movw	r0, #:lower16:object		@ R_ARM_MOVW_ABS_NC, R_ARM_MOVT_ABS
	movt	r0, #:upper16:object
	movw	r1, #:lower16:object + 0x7654
	movt	r1, #:upper16:object + 0x7654
	movw	r2, #:lower16:thumb_function
	movt	r2, #:upper16:thumb_function
	movw	r3, #:lower16:absent
	movt	r3, #:upper16:absent
	movw	r4, #:lower16:(object - .)	@ R_ARM_MOVW_PREL_NC, R_ARM_MOVT_PREL
	movt	r4, #:upper16:(object - .)
	movw	r5, #:lower16:(thumb_function - .)
	movt	r5, #:upper16:(thumb_function - .)
	movw	r6, #:lower16:(absent - .)
	movt	r6, #:upper16:(absent - .)
	ldr	r7, =object + 12		@ R_ARM_ABS32, in a literal pool
	.ltorg
	.size	arm_function, . - arm_function

	.globl	other_arm
	.type	other_arm, %function
other_arm:
	bx	lr
	.size	other_arm, . - other_arm

	.globl	plain_label
plain_label:
	bx	lr

	.section .data.words, "aw", %progbits
	.word	object, object + 0x20, object - 4
	.word	kernel_object + 8
	.word	arm_function, thumb_function, thumb_function + 2, plain_label
	.word	absent, absent + 4
	.word	object - ., thumb_function - ., absent - .	@ R_ARM_REL32
	.word	object(TARGET1), thumb_function(TARGET1)
	.word	arm_function(prel31), thumb_function(prel31)
	.byte	1
	.balign	1
	.word	object					@ not at a whole word
	.weak	absent

	.section .data.object, "aw", %progbits
	.balign	4
	.globl	object
	.type	object, %object
object:	.word	0x11223344, 0x55667788
	.size	object, . - object

	.section .ARM.exidx.text, "a", %progbits
	.word	arm_function(prel31), 1
