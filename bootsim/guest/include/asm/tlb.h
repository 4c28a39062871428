/* SPDX-License-Identifier: GPL-2.0-only */
/* Included all the same, though it comes after the early boot; Linux: arch/arm/include/asm/tlb.h */
#pragma once

#include <asm/tlbflush.h>
