/* SPDX-License-Identifier: GPL-2.0-only */
/* Regions that /reserved-memory sets aside; Linux: include/linux/of_reserved_mem.h */
#pragma once

#include <linux/device.h>
#include <linux/of.h>

struct reserved_mem;

struct reserved_mem_ops {
	int (*device_init)(struct reserved_mem *rmem, struct device *dev);
	void (*device_release)(struct reserved_mem *rmem, struct device *dev);
};

struct reserved_mem {
	const char *name;
	unsigned long fdt_node;
	unsigned long phandle;
	const struct reserved_mem_ops *ops;
	phys_addr_t base;
	phys_addr_t size;
	void *priv;
};

typedef int (*reservedmem_of_init_fn)(struct reserved_mem *rmem);

/* Has `init` called for each region of that `compatible`. */
#define RESERVEDMEM_OF_DECLARE(name, compat, init) \
	_OF_DECLARE(reservedmem, name, compat, init, reservedmem_of_init_fn)
