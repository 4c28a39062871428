/* A fault in a comparison that the kernel's sort() asks.
 *
 * cause: data abort: translation fault, .*read of 0x00000000
 * trace: compare | sort debug_callback
 */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/sort.h>

static int numbers[] = { 3, 1, 2 };
static int *volatile nowhere;

static int compare(const void *a, const void *b)
{
	pr_info("compares %d\n", *(const int *)a);
	return *(const int *)a - *nowhere; /* here */
}

void __init debug_callback(void)
{
	sort(numbers, 3, sizeof(numbers[0]), compare, NULL);
	pr_info("not here\n");
}
