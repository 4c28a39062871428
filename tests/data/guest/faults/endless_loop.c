/* A loop without a way out.
 *
 * cause: endless loop, a branch to itself
 * trace: debug_endless_loop
 */
#include <linux/init.h>
#include <linux/kernel.h>

void __init debug_endless_loop(void)
{
	for (;;) /* here */
		;
}
