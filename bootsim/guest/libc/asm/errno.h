/* SPDX-License-Identifier: GPL-2.0-only */
/* Error numbers as Linux has them (include/uapi/asm-generic/errno-base.h). */
#ifndef BOOTSIM_ASM_ERRNO_H
#define BOOTSIM_ASM_ERRNO_H

#define EPERM 1
#define ENOENT 2
#define EINTR 4
#define EIO 5
#define ENXIO 6
#define E2BIG 7
#define EBADF 9
#define EAGAIN 11
#define ENOMEM 12
#define EACCES 13
#define EFAULT 14
#define EBUSY 16
#define EEXIST 17
#define ENODEV 19
#define EINVAL 22
#define ENOSPC 28
#define EDOM 33
#define ERANGE 34

#endif
