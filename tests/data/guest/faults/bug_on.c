/* BUG_ON() of what holds ends the boot.
 *
 * cause: kernel BUG at .+bug_on.c:17!
 * log: 41
 * trace: __bug debug_bug_on
 */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/bug.h>

static volatile int answer = 41;

void __init debug_bug_on(void)
{
	BUG_ON(answer == 42);
	pr_info("%d\n", answer);
	BUG_ON(answer == 41);
	pr_info("not here\n");
}
