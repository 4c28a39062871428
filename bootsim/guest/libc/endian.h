/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef BOOTSIM_ENDIAN_H
#define BOOTSIM_ENDIAN_H

#define __LITTLE_ENDIAN 1234
#define __BIG_ENDIAN 4321
#define __BYTE_ORDER __LITTLE_ENDIAN

#endif
