/* What compilers put where code cannot come.
 *
 * cause: undefined instruction
 * trace: debug_trap
 */
#include <linux/init.h>
#include <linux/kernel.h>

void __init debug_trap(void)
{
	__builtin_trap(); /* here */
}
