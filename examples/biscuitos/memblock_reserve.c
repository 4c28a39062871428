// SPDX-License-Identifier: GPL-2.0-only
/*
 * What becomes of a reservation that touches, overlaps or swallows earlier ones?
 *
 *	bootsim replay examples/biscuitos/memblock_reserve.c --append earlycon
 *
 * Twelve ranges are reserved one after the other, and the table is shown
 * after each: what touches or overlaps becomes one region, a range that is
 * reserved already changes nothing, and regions stay sorted by address. A
 * column is 1 MiB:
 *
 *                0x60000000      0x61000000      0x62000000      0x63000000
 *      1         ##              :               :               :
 *      2         :               :               ##              :
 *      3         :               :               : ##            :
 *      4         :               :               :  ##           :
 *      5         :               :               ######          :
 *      6         :               ################################:
 *      7         :               :               ################:
 *      8         :               ################:               :
 *      9         :               ################################:
 *     10         :              ##               :               :
 *     11         :             # :               :               :
 *     12         :         #     :               :               :
 *     reserved   ##        #   ##################################:
 *
 * The table is wound back at the end, so that the boot starts afresh.
 */

#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/memblock.h>

static const struct {
	const char *title;
	phys_addr_t base;
	phys_addr_t size;
} steps[] __initconst = {
	{ "Scan first region:", 0x60000000, 0x200000 },
	{ "Scan behine and disjunct region:", 0x62000000, 0x200000 },
	{ "Scan behine and conjunct region:", 0x62200000, 0x200000 },
	{ "Scan behine but contain regions:", 0x62300000, 0x200000 },
	{ "Scan contain but equal regions:", 0x62000000, 0x600000 },
	{ "Scan region which contain exist one:", 0x61000000, 0x2000000 },
	{ "Scan region which contain new one:", 0x62000000, 0x1000000 },
	{ "Scan region which contain and head of regions:", 0x61000000, 0x1000000 },
	{ "Scan equal region:", 0x61000000, 0x2000000 },
	{ "Scan forware and contain regions:", 0x60f00000, 0x200000 },
	{ "Scan forward and conjunct regions:", 0x60e00000, 0x100000 },
	{ "Scan forware and disjunct regions:", 0x60a00000, 0x100000 },
};

static void __init show_reserved(void)
{
	struct memblock_region *reg;

	for_each_memblock(reserved, reg)
		pr_info("Region [%#x -- %#x]\n", reg->base, reg->base + reg->size);
}

int __init debug_memblock_reserve(void)
{
	int i;

	show_reserved();

	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		memblock_reserve(steps[i].base, steps[i].size);
		pr_info("%s\n", steps[i].title);
		show_reserved();
	}

	memblock.reserved.cnt = 1;
	memblock.reserved.total_size = 0;
	return 0;
}
