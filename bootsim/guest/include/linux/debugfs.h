/* SPDX-License-Identifier: GPL-2.0-only */
/* Included all the same, though it comes after the early boot; Linux: include/linux/debugfs.h */
#pragma once

#include <linux/fs.h>
#include <linux/types.h>
