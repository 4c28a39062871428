/* SPDX-License-Identifier: GPL-2.0-only */
/* The device tree; Linux: include/linux/of.h. Its unflattened form comes after the early boot. */
#pragma once

#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/mod_devicetable.h>
#include <linux/types.h>
#include <asm/byteorder.h>

typedef u32 phandle;

struct device_node;

#define OF_ROOT_NODE_ADDR_CELLS_DEFAULT 1
#define OF_ROOT_NODE_SIZE_CELLS_DEFAULT 1

/* A number of `size` cells. */
static inline u64 of_read_number(const __be32 *cell, int size)
{
	u64 number = 0;

	while (size-- > 0)
		number = number << 32 | be32_to_cpu(*cell++);
	return number;
}

static inline unsigned long of_read_ulong(const __be32 *cell, int size)
{
	return (unsigned long)of_read_number(cell, size);
}

/* An entry of table `table`, in the section that the linker makes the table of. */
#define _OF_DECLARE(table, id, compat, fn, fn_type) \
	static const struct of_device_id __of_table_##id \
		__attribute__((__used__, __section__("__" #table "_of_table"), __aligned__(4))) = { \
			.compatible = compat, \
			.data = _Generic((fn), fn_type: (fn)), \
		}
