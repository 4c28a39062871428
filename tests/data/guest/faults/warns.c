/* WARN_ON() goes on.
 *
 * cause: none
 * log: WARNING: .*
 * log: warned
 * log: odd is 1
 * log: goes on
 */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/bug.h>

static volatile int odd = 1;

void __init debug_warns(void)
{
	if (WARN_ON(odd))
		pr_info("warned\n");
	WARN(odd, "odd is %d\n", odd);
	pr_info("goes on\n");
}
