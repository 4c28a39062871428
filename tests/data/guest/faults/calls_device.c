/* A device is no code.
 *
 * cause: prefetch abort: translation fault, .* at pc 0x10009000
 * trace: - debug_calls_device
 */
#include <linux/init.h>
#include <linux/kernel.h>

void __init debug_calls_device(void)
{
	((void (*)(void))0x10009000)();
	pr_info("not here\n");
}
