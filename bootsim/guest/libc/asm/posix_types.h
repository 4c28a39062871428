/* SPDX-License-Identifier: GPL-2.0-only */
/* Types of the system calls: a guest makes none. */
