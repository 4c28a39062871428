/* SPDX-License-Identifier: GPL-2.0-only */
/* Included all the same, though it comes after the early boot; Linux: include/linux/mutex.h */
#pragma once

#include <linux/list.h>
#include <linux/spinlock.h>
