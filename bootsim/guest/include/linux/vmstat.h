/* SPDX-License-Identifier: GPL-2.0-only */
/* Counters of zones; Linux: include/linux/vmstat.h */
#pragma once

#include <linux/mm.h>

static inline unsigned long global_zone_page_state(enum zone_stat_item item)
{
	unsigned long pages = 0;
	struct zone *zone;

	for_each_zone(zone)
		pages += zone_page_state(zone, item);
	return pages;
}
