/* SPDX-License-Identifier: GPL-2.0-only */
/* Parameters of what is built in; Linux: include/linux/moduleparam.h */
#pragma once

#include <linux/init.h>
#include <linux/kernel.h>

#define MODULE_INFO(tag, info) _Static_assert(1, "")
#define MODULE_PARM_DESC(parameter, description) MODULE_INFO(parm, description)
