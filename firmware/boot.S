@ SPDX-License-Identifier: GPL-2.0-only
@
@ What a boot loader leaves behind. Placed at the start of RAM, with the MMU off; the loader fills
@ the three words at the end. The register values are the boot protocol's: Linux,
@ Documentation/arm/booting.rst; r1 is the number that device-tree boots use.

	.syntax unified
	.arm
	.section .text, "ax"

	.globl	boot
boot:
	mov	r0, #0
	ldr	r1, machine_type
	ldr	r2, dtb
	ldr	pc, kernel_entry

	.globl	boot_params
boot_params:
machine_type:	.word	0xffffffff
dtb:		.word	0
kernel_entry:	.word	0
