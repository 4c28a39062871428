/* SPDX-License-Identifier: GPL-2.0-only */
/* ISO C11, 7.22: what test programs use of it. */
#ifndef BOOTSIM_STDLIB_H
#define BOOTSIM_STDLIB_H

#include <stddef.h>

#define EXIT_SUCCESS 0
#define EXIT_FAILURE 1

void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void free(void *memory);
char *getenv(const char *name);
void exit(int status) __attribute__((__noreturn__));
void abort(void) __attribute__((__noreturn__));

#endif
