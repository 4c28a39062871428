/* SPDX-License-Identifier: GPL-2.0-only */
/* Reclaim, which comes after the early boot, and nr_free_pages(); Linux: include/linux/swap.h */
#pragma once

#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/vmstat.h>
