/* SPDX-License-Identifier: GPL-2.0-only */
/* Where CPUs lie among the nodes: all on the first; Linux: include/linux/topology.h */
#pragma once

#include <linux/cpumask.h>
#include <linux/mmzone.h>
#include <linux/numa.h>

#define numa_node_id() 0
#define numa_mem_id() 0
#define cpu_to_node(cpu) ((void)(cpu), 0)
