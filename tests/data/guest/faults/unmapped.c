/* Virtual memory that nothing is mapped to.
 *
 * cause: data abort: translation fault, .*write of 0xf8000004
 * trace: debug_unmapped
 */
#include <linux/init.h>
#include <linux/kernel.h>

void __init debug_unmapped(void)
{
	volatile u32 *nothing = (void *)0xf8000000;

	nothing[1] = 5; /* here */
}
