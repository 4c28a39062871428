/* panic() ends the boot.
 *
 * cause: Kernel panic - not syncing: no way on: -12
 * trace: panic debug_panics
 */
#include <linux/init.h>
#include <linux/kernel.h>

void __init debug_panics(void)
{
	panic("no way on: %d", -12);
}
