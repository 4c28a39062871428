/* A kernel function with a pointer to nothing.
 *
 * cause: data abort: translation fault, .*, memset\+.*write of 0x00000000
 * trace: memset debug_memset_null
 */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/string.h>

static char *volatile to;

void __init debug_memset_null(void)
{
	memset(to, 0, 100);
	pr_info("not here\n");
}
