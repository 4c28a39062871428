/* SPDX-License-Identifier: GPL-2.0-only */
/* Device memory; Linux: include/linux/io.h */
#pragma once

#include <linux/err.h>
#include <linux/init.h>
#include <linux/types.h>
#include <asm/io.h>
#include <asm/page.h>
