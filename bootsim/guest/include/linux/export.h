/* SPDX-License-Identifier: GPL-2.0-only */
/* Symbols for modules, of which the early boot has none; Linux: include/linux/export.h */
#pragma once

#include <linux/compiler.h>

#define THIS_MODULE ((struct module *)0)

#define EXPORT_SYMBOL(symbol) extern typeof(symbol) symbol
#define EXPORT_SYMBOL_GPL(symbol) EXPORT_SYMBOL(symbol)
#define EXPORT_SYMBOL_NS(symbol, space) EXPORT_SYMBOL(symbol)
#define EXPORT_SYMBOL_NS_GPL(symbol, space) EXPORT_SYMBOL(symbol)
