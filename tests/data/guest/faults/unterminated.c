/* A string without an end, up to the end of RAM's mapping.
 *
 * cause: a string without an end in 0x100000 bytes at pc .*, strlen\+
 * trace: strlen debug_unterminated
 */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/memblock.h>
#include <linux/string.h>

void __init debug_unterminated(void)
{
	char *text = (char *)0x80b00000 - (3 << 20);

	memset(text, 'x', 2 << 20);
	pr_info("%zu\n", strlen(text));
}
