/* A write to NULL.
 *
 * cause: data abort: translation fault, .*write of 0x00000000
 * trace: store debug_null_write
 */
#include <linux/init.h>
#include <linux/kernel.h>

static int *volatile nowhere;

static noinline void store(volatile int *to)
{
	*to = 1; /* here */
}

void __init debug_null_write(void)
{
	store(nowhere);
	pr_info("not here\n");
}
