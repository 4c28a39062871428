/* No interrupt comes so early.
 *
 * cause: waits for an interrupt, but none can come
 * trace: debug_wait_for_interrupt
 */
#include <linux/init.h>
#include <linux/kernel.h>

void __init debug_wait_for_interrupt(void)
{
	asm volatile("wfi"); /* here */
}
