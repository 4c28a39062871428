/* SPDX-License-Identifier: GPL-2.0-only */
/* Modules, of which the early boot has none: all is built in; Linux: include/linux/module.h */
#pragma once

#include <linux/export.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/moduleparam.h>
#include <linux/stringify.h>

#define module_init(fn) __initcall(fn)
#define module_exit(fn) __exitcall(fn)

#define MODULE_LICENSE(license) MODULE_INFO(license, license)
#define MODULE_AUTHOR(author) MODULE_INFO(author, author)
#define MODULE_DESCRIPTION(description) MODULE_INFO(description, description)
#define MODULE_VERSION(version) MODULE_INFO(version, version)
#define MODULE_ALIAS(alias) MODULE_INFO(alias, alias)
#define MODULE_SOFTDEP(dependency) MODULE_INFO(softdep, dependency)
#define MODULE_FIRMWARE(firmware) MODULE_INFO(firmware, firmware)
#define MODULE_DEVICE_TABLE(type, table) MODULE_INFO(type, table)
