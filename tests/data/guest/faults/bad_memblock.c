/* Damaged tables end the boot with the name of who called.
 *
 * cause: debug_bad_memblock\+
 * trace: memblock_add debug_bad_memblock
 */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/memblock.h>

void __init debug_bad_memblock(void)
{
	memblock.memory.cnt = 0xffffff;
	memblock.memory.regions = NULL;
	memblock_add(0x10000000, 0x1000);
	pr_info("not here\n");
}
