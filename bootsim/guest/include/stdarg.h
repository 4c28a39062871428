/* SPDX-License-Identifier: GPL-2.0-only */
/* The compiler's own <stdarg.h>, which kernel code included to 5.14 */
#pragma once

#include <linux/stdarg.h>
