/* The length of what is no string.
 *
 * cause: data abort: translation fault, .*, strlen\+.*read of 0xdeadbeef
 * trace: strlen debug_strlen_wild
 */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/string.h>

static const char *volatile text = (char *)0xdeadbeef;

void __init debug_strlen_wild(void)
{
	pr_info("%zu\n", strlen(text));
}
