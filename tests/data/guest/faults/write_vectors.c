/* The page of the exception vectors is read-only.
 *
 * cause: data abort: permission fault.*write of 0xffff0000
 * trace: debug_write_vectors
 * hook: paging_init
 * log: read [0-9a-f]+
 */
#include <linux/init.h>
#include <linux/kernel.h>

void __init debug_write_vectors(void)
{
	volatile u32 *vectors = (void *)0xffff0000;

	pr_info("read %x\n", vectors[0]);
	vectors[0] = 0; /* here */
}
