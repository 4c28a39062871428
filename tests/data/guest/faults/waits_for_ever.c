/* A loop that waits for what nobody changes.
 *
 * cause: budget of 3000000 instructions used up
 * trace: debug_waits_for_ever
 * options: instructions=3000000
 */
#include <linux/init.h>
#include <linux/kernel.h>

static volatile int ready;

void __init debug_waits_for_ever(void)
{
	while (!ready) /* here */
		;
	pr_info("ready\n");
}
