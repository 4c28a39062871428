/* User mode may not even fetch the kernel's code.
 *
 * cause: prefetch abort: .*, mode usr
 * hook: paging_init
 * trace: debug_user_mode
 */
#include <linux/init.h>
#include <linux/kernel.h>

void __init debug_user_mode(void)
{
	asm volatile("cps #0x10\n\tnop"); /* here * trace: debug_user_mode
 */
	pr_info("not here\n");
}
