/* A fault in Thumb code.
 *
 * cause: data abort: translation fault, .*write of 0x00000000
 * trace: store debug_thumb_fault
 * log: in Thumb code
 */
#include <linux/init.h>
#include <linux/kernel.h>

static int *volatile nowhere;

__attribute__((target("thumb"))) static noinline int store(volatile int *to, int n)
{
	int a = n * 3;

	*to = n + a * 123456; /* here */
	return a;
}

__attribute__((target("thumb"))) void __init debug_thumb_fault(void)
{
	pr_info("in Thumb code\n");
	pr_info("%d\n", store(nowhere, 5));
}
