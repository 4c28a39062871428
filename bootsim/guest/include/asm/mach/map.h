/* SPDX-License-Identifier: GPL-2.0-only */
/* Included all the same, though it comes after the early boot; Linux: arch/arm/include/asm/mach/map.h */
#pragma once

#include <asm/io.h>
