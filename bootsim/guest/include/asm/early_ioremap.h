/* SPDX-License-Identifier: GPL-2.0-only */
/* Mappings for a moment, through the fixmap; Linux: include/asm-generic/early_ioremap.h */
#pragma once

#include <asm-generic/early_ioremap.h>
