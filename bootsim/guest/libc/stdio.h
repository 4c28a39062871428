/* SPDX-License-Identifier: GPL-2.0-only */
/* ISO C11, 7.21: what prints. Both streams go to the same place. */
#ifndef BOOTSIM_STDIO_H
#define BOOTSIM_STDIO_H

#include <stdarg.h>
#include <stddef.h>

typedef struct bootsim_file FILE;

#define stdout ((FILE *)1)
#define stderr ((FILE *)2)

int printf(const char *format, ...) __attribute__((__format__(__printf__, 1, 2)));
int vprintf(const char *format, va_list arguments) __attribute__((__format__(__printf__, 1, 0)));
int fprintf(FILE *stream, const char *format, ...) __attribute__((__format__(__printf__, 2, 3)));
int vfprintf(FILE *stream, const char *format, va_list arguments)
	__attribute__((__format__(__printf__, 2, 0)));
int snprintf(char *to, size_t size, const char *format, ...)
	__attribute__((__format__(__printf__, 3, 4)));
int vsnprintf(char *to, size_t size, const char *format, va_list arguments)
	__attribute__((__format__(__printf__, 3, 0)));
int puts(const char *text);
int putchar(int character);

#endif
