/* SPDX-License-Identifier: GPL-2.0-only */
/* Flags of page requests, which 6.1 has apart; Linux: include/linux/gfp_types.h */
#pragma once

#include <linux/gfp.h>
