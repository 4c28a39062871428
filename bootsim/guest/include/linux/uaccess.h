/* SPDX-License-Identifier: GPL-2.0-only */
/* Included all the same, though it comes after the early boot; Linux: include/linux/uaccess.h */
#pragma once

#include <linux/sched.h>
#include <linux/string.h>
