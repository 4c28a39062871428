/* A size that runs away.
 *
 * cause: data abort: .*, memset\+.*write of 0x
 * trace: memset debug_memset_past_ram
 */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/string.h>

static char buffer[16];
static volatile size_t size = 0xf0000000;

void __init debug_memset_past_ram(void)
{
	memset(buffer, 0x5a, size);
	pr_info("not here\n");
}
