/* A kernel function with a bad pointer, called by Thumb code.
 *
 * cause: data abort: translation fault, .*, memset\+.*write of 0x00000000
 * trace: memset debug_thumb_calls_kernel
 */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/string.h>

static char *volatile to;

__attribute__((target("thumb"))) void __init debug_thumb_calls_kernel(void)
{
	memset(to, 0, 100);
	pr_info("not here\n");
}
