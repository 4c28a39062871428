/* SPDX-License-Identifier: GPL-2.0-only */
/* Constants for C and for assembly; Linux: include/uapi/linux/const.h */
#pragma once

#ifdef __ASSEMBLY__
#define _AC(number, suffix) number
#define _AT(type, number) number
#else
#define __AC_paste(number, suffix) number##suffix
#define _AC(number, suffix) __AC_paste(number, suffix)
#define _AT(type, number) ((type)(number))
#endif

#define _UL(number) _AC(number, UL)
#define _ULL(number) _AC(number, ULL)
#define UL(number) _UL(number)
#define ULL(number) _ULL(number)
#define _BITUL(bit) (_UL(1) << (bit))
#define _BITULL(bit) (_ULL(1) << (bit))
