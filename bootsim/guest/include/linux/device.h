/* SPDX-License-Identifier: GPL-2.0-only */
/* Devices, which come after the early boot; Linux: include/linux/device.h */
#pragma once

#include <linux/ioport.h>
#include <linux/list.h>
#include <linux/types.h>

struct cma;
struct device;
struct device_node;
struct device_driver;
