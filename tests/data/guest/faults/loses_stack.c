/* A stack pointer to nowhere.
 *
 * cause: data abort: translation fault, .*write of 0xfffffff
 * trace: loses_stack
 */
#include <linux/init.h>
#include <linux/kernel.h>

static noinline void loses_stack(void)
{
	asm volatile("mov sp, #0\n\tpush {r0, r1}"); /* here * trace: loses_stack
 */
}

void __init debug_loses_stack(void)
{
	loses_stack();
	pr_info("not here\n");
}
