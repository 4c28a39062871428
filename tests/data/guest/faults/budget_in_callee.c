/* The budget ends in the middle of a function.
 *
 * cause: budget of 1000 instructions used up
 * trace: spin debug_budget_in_callee
 * options: instructions=1000
 */
#include <linux/init.h>
#include <linux/kernel.h>

static noinline int spin(int n)
{
	int sum = 0;

	while (n--) /* here */
		sum ^= *(volatile int *)&sum + n;
	return sum;
}

void __init debug_budget_in_callee(void)
{
	pr_info("%d\n", spin(1 << 30));
}
