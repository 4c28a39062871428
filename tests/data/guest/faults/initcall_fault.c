/* A fault in a function that the kernel calls later.
 *
 * cause: data abort: translation fault, .*write of 0x00000000
 * trace: late
 * log: so far, so good
 */
#include <linux/init.h>
#include <linux/kernel.h>

static int __init late(void)
{
	*(volatile int *)NULL = 1; /* here */
	return 0;
}
core_initcall(late);

void __init debug_initcall_fault(void)
{
	pr_info("so far, so good\n");
}
