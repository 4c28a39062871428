/* Division by zero is reported, and goes on with 0.
 *
 * cause: none
 * log: Division by zero in kernel\.
 * log: result 0
 */
#include <linux/init.h>
#include <linux/kernel.h>

static volatile int zero;

void __init debug_division(void)
{
	int x = 5 / zero;
	pr_info("result %d\n", x);
}
