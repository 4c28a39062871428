/* SPDX-License-Identifier: GPL-2.0-only */
/* Included all the same, though it comes after the early boot; Linux: include/linux/of_address.h */
#pragma once

#include <linux/ioport.h>
#include <linux/of.h>
