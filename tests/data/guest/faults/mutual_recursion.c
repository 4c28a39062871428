/* Two functions that call each other for ever.
 *
 * cause: stack overflow at
 * trace: odd even odd ... even debug_mutual_recursion
 */
#include <linux/init.h>
#include <linux/kernel.h>

static int odd(int n);

static noinline int even(int n)
{
	return n == 1 ? 1 : odd(n + 2) + n;
}

static noinline int odd(int n)
{
	return n == 1 ? 0 : even(n + 4) + 3 * n; /* here */
}

void __init debug_mutual_recursion(void)
{
	pr_info("%d\n", even(2));
}
