/* SPDX-License-Identifier: GPL-2.0-only */
/* Included all the same, though it comes after the early boot; Linux: include/linux/kthread.h */
#pragma once

#include <linux/err.h>
#include <linux/sched.h>
