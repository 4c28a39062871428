/* A memblock function with a pointer to no struct memblock_type.
 *
 * cause: data abort: translation fault
 * trace: memblock_add_range debug_memblock_type_wild
 */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/memblock.h>

static struct memblock_type *volatile type = (void *)0x12345678;

void __init debug_memblock_type_wild(void)
{
	pr_info("%d\n", memblock_add_range(type, 0x60000000, 0x1000, 0, 0));
}
