/* A coprocessor that is not there.
 *
 * cause: undefined instruction
 * trace: debug_coprocessor
 */
#include <linux/init.h>
#include <linux/kernel.h>

void __init debug_coprocessor(void)
{
	asm volatile("mcr p3, 0, r0, c1, c2, 0"); /* here */
}
