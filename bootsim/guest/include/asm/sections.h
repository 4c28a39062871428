/* SPDX-License-Identifier: GPL-2.0-only */
/* The parts of the kernel image; Linux: arch/arm/include/asm/sections.h */
#pragma once

#include <asm-generic/sections.h>
