/* Data is no code: paging_init() makes what is outside of the kernel execute-never.
 *
 * cause: prefetch abort: permission fault|prefetch abort: .*execute-never
 * trace: - debug_calls_data
 * hook: paging_init
 */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/memblock.h>

void __init debug_calls_data(void)
{
	u32 *code = memblock_alloc(4096, 4096);

	code[0] = 0xe12fff1e;
	((void (*)(void))code)();
	pr_info("not here\n");
}
