/* A return address that was overwritten.
 *
 * cause: prefetch abort: translation fault, .* at pc 0xdeadbeec
 * trace: - smashed
 */
#include <linux/init.h>
#include <linux/kernel.h>

static noinline void smash(u32 *stack)
{
	int n;

	for (n = 0; n < 24; n++)
		stack[n] = 0xdeadbeec;
}

static noinline u32 smashed(void)
{
	u32 room[2] = { 1, 2 };

	smash(room);
	return room[0];
}

void __init debug_returns_nowhere(void)
{
	pr_info("%x\n", smashed());
}
