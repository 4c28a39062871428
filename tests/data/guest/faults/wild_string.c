/* printk() follows any other pointer, in Linux 5.0.
 *
 * cause: data abort: translation fault, .*, _?printk\+.*read of 0xdeadbeef
 * trace: printk debug_wild_string
 */
#include <linux/init.h>
#include <linux/kernel.h>

void __init debug_wild_string(void)
{
	char *volatile wild = (char *)0xdeadbeef;

	pr_info("<%s>\n", wild);
	pr_info("not here\n");
}
