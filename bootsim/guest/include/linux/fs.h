/* SPDX-License-Identifier: GPL-2.0-only */
/* Included all the same, though it comes after the early boot; Linux: include/linux/fs.h */
#pragma once

#include <linux/err.h>
#include <linux/list.h>
#include <linux/types.h>
