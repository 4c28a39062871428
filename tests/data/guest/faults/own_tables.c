/* Page tables that are no more.
 *
 * cause: prefetch abort: translation fault
 * options: instructions=3000000
 * trace: debug_own_tables
 */
#include <linux/init.h>
#include <linux/kernel.h>

void __init debug_own_tables(void)
{
	asm volatile("mcr p15, 0, %0, c2, c0, 0\n\tmcr p15, 0, %0, c8, c7, 0\n\tisb" : : "r" (0x7f000000));
	pr_info("not here\n");
}
