/* A loop with a call to the kernel, against the clock.
 *
 * cause: budget of 0.2 s used up
 * options: seconds=0.2
 * trace: strlen debug_calls_for_ever
 */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/string.h>

void __init debug_calls_for_ever(void)
{
	int n = 0;

	while (strlen("some text") == 9)
		n++;
	pr_info("%d\n", n);
}
