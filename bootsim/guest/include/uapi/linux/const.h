/* SPDX-License-Identifier: GPL-2.0-only */
/* Constants for C and for assembly; Linux: include/uapi/linux/const.h */
#pragma once

#include <linux/const.h>
