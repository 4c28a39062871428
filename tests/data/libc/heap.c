/* SPDX-License-Identifier: GPL-2.0-only */
/* Blocks of malloc() keep what was written to them while others come and go. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCKS 8

static char *blocks[BLOCKS];
static unsigned int sizes[BLOCKS];

static int kept(unsigned int which)
{
	for (unsigned int i = 0; i < sizes[which]; i++)
		if (blocks[which][i] != (char)which)
			return 0;
	return 1;
}

int main(void)
{
	unsigned int seed = 1, which, lost = 0;
	char *huge, *empty;

	for (int i = 0; i < 3000; i++) {
		seed = seed * 1103515245 + 12345;
		which = (seed >> 16) % BLOCKS;
		if (blocks[which]) {
			lost += !kept(which);
			free(blocks[which]);
			blocks[which] = NULL;
			continue;
		}
		sizes[which] = (seed >> 19 & 0xff) + 1;
		blocks[which] = malloc(sizes[which]);
		memset(blocks[which], which, sizes[which]);
	}
	huge = malloc(0x7fffffff);
	empty = malloc(0);
	printf("%u lost, huge %d, empty %d\n", lost, huge != NULL, empty != malloc(0));
	return 0;
}
