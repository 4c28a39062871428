/* SPDX-License-Identifier: GPL-2.0-only */
/* Included all the same, though it comes after the early boot; Linux: include/linux/miscdevice.h */
#pragma once

#include <linux/device.h>
#include <linux/fs.h>
