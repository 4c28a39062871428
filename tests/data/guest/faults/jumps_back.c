/* A long jump to a frame that is no more: an endless way.
 *
 * cause: budget of 100000 instructions used up
 * options: instructions=100000
 * trace: debug_jumps_back
 */
#include <linux/init.h>
#include <linux/kernel.h>

static void *volatile again;

static noinline void remember(void)
{
	again = __builtin_return_address(0);
}

void __init debug_jumps_back(void)
{
	remember();
	asm volatile("bx %0" : : "r" (again));
}
