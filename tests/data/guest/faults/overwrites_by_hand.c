/* Code that is no more, written by the CPU itself.
 *
 * cause: undefined instruction
 * trace: gone debug_overwrites_by_hand
 * log: was here
 */
#include <linux/init.h>
#include <linux/kernel.h>

static noinline void gone(void)
{
	pr_info("was here\n");
}

void __init debug_overwrites_by_hand(void)
{
	void (*volatile call)(void) = gone;

	call();
	*(volatile u32 *)gone = 0xffffffff;
	call();
	pr_info("not here\n");
}
