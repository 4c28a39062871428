/* A function pointer that was never set.
 *
 * cause: prefetch abort: translation fault, .* at pc 0x00000000
 * trace: - debug_null_call
 */
#include <linux/init.h>
#include <linux/kernel.h>

static void (*volatile function)(void);

void __init debug_null_call(void)
{
	function();
	pr_info("not here\n");
}
