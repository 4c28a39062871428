/* SPDX-License-Identifier: GPL-2.0-only */
/* Included all the same, though it comes after the early boot; Linux: include/linux/percpu.h */
#pragma once

#include <linux/smp.h>
#include <linux/types.h>
