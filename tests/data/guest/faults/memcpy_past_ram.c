/* A size that runs away.
 *
 * cause: data abort: .*, memcpy\+
 * trace: memcpy debug_memcpy_past_ram
 */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/string.h>

static char buffer[16];
static volatile size_t size = 0xfffffff0;

void __init debug_memcpy_past_ram(void)
{
	memcpy(buffer, buffer + 8, size);
	pr_info("not here\n");
}
