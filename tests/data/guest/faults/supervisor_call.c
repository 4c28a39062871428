/* No system calls yet.
 *
 * cause: SVC that nobody handles
 * trace: debug_supervisor_call
 */
#include <linux/init.h>
#include <linux/kernel.h>

void __init debug_supervisor_call(void)
{
	asm volatile("svc #0"); /* here */
}
