/* printk() follows no pointer into the first page (lib/vsprintf.c).
 *
 * cause: none
 * log: <\(null\)> <\(null\)>
 */
#include <linux/init.h>
#include <linux/kernel.h>

void __init debug_bad_string(void)
{
	char *volatile null = NULL;
	char *volatile small = (char *)8;

	pr_info("<%s> <%s>\n", null, small);
}
