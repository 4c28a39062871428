/* An instruction that there is not.
 *
 * cause: undefined instruction
 * trace: debug_undefined
 */
#include <linux/init.h>
#include <linux/kernel.h>

void __init debug_undefined(void)
{
	asm volatile(".inst 0xe7f000f0"); /* here */
}
