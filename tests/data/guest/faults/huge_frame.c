/* An array larger than the stack.
 *
 * cause: stack overflow at
 * trace: debug_huge_frame
 */
#include <linux/init.h>
#include <linux/kernel.h>

void __init debug_huge_frame(void)
{
	volatile char room[20000];

	room[1] = 1; /* here */
	pr_info("%p\n", room);
}
