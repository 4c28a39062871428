/* LDREX needs a whole word; LDR does not (ARM ARM DDI 0406C, A3.2.1).
 *
 * cause: data abort: alignment fault.*, read of 0x
 * trace: debug_misaligned
 * log: 77881122
 */
#include <linux/init.h>
#include <linux/kernel.h>

static u32 words[4] = { 0x11223344, 0x55667788 };

void __init debug_misaligned(void)
{
	void *at = (char *)words + 2;

	pr_info("%x\n", *(u32 *)at);
	asm volatile("ldrex r2, [%0]" : : "r" (at) : "r2"); /* here */
}
