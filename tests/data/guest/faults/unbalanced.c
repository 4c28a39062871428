/* A function that leaves its stack pointer elsewhere returns all the same.
 *
 * cause: none
 */
#include <linux/init.h>
#include <linux/kernel.h>

__attribute__((naked)) int debug_unbalanced(void)
{
	asm volatile("push {r0, r1}\n\tbx lr");
}
