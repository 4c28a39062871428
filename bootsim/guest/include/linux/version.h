/* SPDX-License-Identifier: GPL-2.0-only */
/* Which Linux the code is compiled for; Linux: include/generated/uapi/linux/version.h */
#pragma once

#ifndef LINUX_VERSION_CODE
#error "LINUX_VERSION_CODE is not defined: pass -DLINUX_VERSION_CODE=327680 for Linux 5.0"
#endif

#define KERNEL_VERSION(version, patchlevel, sublevel) \
	(((version) << 16) + ((patchlevel) << 8) + ((sublevel) > 255 ? 255 : (sublevel)))

#define LINUX_VERSION_MAJOR (LINUX_VERSION_CODE >> 16)
#define LINUX_VERSION_PATCHLEVEL (LINUX_VERSION_CODE >> 8 & 0xff)
#define LINUX_VERSION_SUBLEVEL (LINUX_VERSION_CODE & 0xff)
