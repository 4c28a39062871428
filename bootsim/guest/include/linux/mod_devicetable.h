/* SPDX-License-Identifier: GPL-2.0-only */
/* How drivers are matched with devices; Linux: include/linux/mod_devicetable.h */
#pragma once

#include <linux/types.h>

struct of_device_id {
	char name[32];
	char type[32];
	char compatible[128];
	const void *data;
};
