/* BUG() ends the boot.
 *
 * cause: kernel BUG at .+bug.c:12!
 * trace: __bug debug_bug
 */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/bug.h>

void __init debug_bug(void)
{
	BUG();
}
