/* Without the MMU there is other memory at the same addresses: empty, and RAM to its end.
 *
 * cause: runs through empty memory
 * trace: -
 */
#include <linux/init.h>
#include <linux/kernel.h>

void __init debug_mmu_off(void)
{
	u32 sctlr;

	asm volatile("mrc p15, 0, %0, c1, c0, 0" : "=r" (sctlr));
	asm volatile("mcr p15, 0, %0, c1, c0, 0\n\tisb" : : "r" (sctlr & ~1) : "memory");
	pr_info("not here\n");
}
