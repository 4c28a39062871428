/* SPDX-License-Identifier: GPL-2.0-only */
/* The flat device tree; Linux: include/linux/of_fdt.h */
#pragma once

#include <linux/errno.h>
#include <linux/init.h>
#include <linux/types.h>

#define OF_DT_HEADER 0xd00dfeed

extern void *initial_boot_params;
extern int dt_root_addr_cells;
extern int dt_root_size_cells;

/* Nodes are offsets. The functions given return 0 for the search to go on. */
int of_scan_flat_dt(int (*it)(unsigned long node, const char *uname, int depth, void *data),
		    void *data);
int of_scan_flat_dt_subnodes(unsigned long node,
			     int (*it)(unsigned long node, const char *uname, void *data),
			     void *data);
int of_get_flat_dt_subnode_by_name(unsigned long node, const char *uname);
unsigned long of_get_flat_dt_root(void);
const void *of_get_flat_dt_prop(unsigned long node, const char *name, int *size);
int of_flat_dt_is_compatible(unsigned long node, const char *name);
u32 of_get_flat_dt_phandle(unsigned long node);
const char *of_flat_dt_get_machine_name(void);

/* The number in the next `s` cells, which *cellp is moved behind. */
u64 dt_mem_next_cell(int s, const __be32 **cellp);
