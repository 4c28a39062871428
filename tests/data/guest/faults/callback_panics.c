/* A panic in a comparison that the kernel's sort() asks.
 *
 * cause: Kernel panic - not syncing: no order
 * trace: panic compare | sort debug_callback_panics
 */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/sort.h>

static int numbers[] = { 3, 1, 2 };

static int compare(const void *a, const void *b)
{
	panic("no order");
}

void __init debug_callback_panics(void)
{
	sort(numbers, 3, sizeof(numbers[0]), compare, NULL);
	pr_info("not here\n");
}
