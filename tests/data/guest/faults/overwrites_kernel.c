/* The kernel's functions are memory, too.
 *
 * cause: undefined instruction
 * trace: strlen debug_overwrites_kernel
 * log: 4
 */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/string.h>

void __init debug_overwrites_kernel(void)
{
	size_t (*volatile call)(const char *) = strlen;

	pr_info("%zu\n", call("four"));
	*(volatile u32 *)call = 0xffffffff;
	call("four");
	pr_info("not here\n");
}
