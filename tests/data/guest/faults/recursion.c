/* A function that calls itself for ever.
 *
 * cause: stack overflow at
 * trace: deeper deeper ... debug_recursion
 */
#include <linux/init.h>
#include <linux/kernel.h>

static volatile int stop = -1;

static noinline int deeper(int n)
{
	volatile char room[64];

	room[n & 63] = n; /* here */
	return n == stop ? n : deeper(n + 1) + room[n & 63];
}

void __init debug_recursion(void)
{
	pr_info("%d\n", deeper(0));
}
