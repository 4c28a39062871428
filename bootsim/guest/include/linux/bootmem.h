/* SPDX-License-Identifier: GPL-2.0-only */
/* memblock under the name that its header had to 4.19; Linux: include/linux/bootmem.h */
#pragma once

#include <linux/memblock.h>
