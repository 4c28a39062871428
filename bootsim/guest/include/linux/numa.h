/* SPDX-License-Identifier: GPL-2.0-only */
/* How many nodes there can be; Linux: include/linux/numa.h */
#pragma once

#include <linux/kconfig.h>

#ifdef CONFIG_NODES_SHIFT
#define NODES_SHIFT CONFIG_NODES_SHIFT
#else
#define NODES_SHIFT 0
#endif

#define MAX_NUMNODES (1 << NODES_SHIFT)
#define NUMA_NO_NODE (-1)
