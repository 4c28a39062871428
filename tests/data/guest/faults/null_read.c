/* A member of a structure that is not there.
 *
 * cause: data abort: translation fault, .*read of 0x00000014
 * trace: debug_null_read
 */
#include <linux/init.h>
#include <linux/kernel.h>

struct thing {
	int pad[5];
	int member;
};

static struct thing *volatile thing;

int __init debug_null_read(void)
{
	return thing->member; /* here */
}
