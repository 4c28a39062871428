/* SPDX-License-Identifier: GPL-2.0-only */
/* Prints what the C library makes of its arguments and of itself: the same on any machine. */
#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int said(const char *format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vprintf(format, arguments);
	va_end(arguments);
	return length;
}

static int flag, chosen;
static const struct option options[] = {
	{"help", no_argument, NULL, 'h'},
	{"movable-node", no_argument, NULL, 'm'},
	{"more", no_argument, &flag, 7},
	{"verbose", no_argument, NULL, 'v'},
	{NULL, 0, NULL, 0},
};

int main(int argc, char **argv)
{
	char *first, *second, *cells;
	int64_t wide = INT64_MIN;
	bool same = true;
	int c;

	while ((c = getopt_long_only(argc, argv, "hmv", options, &chosen)) != -1)
		printf("option %d %d %d\n", c, flag, optind);
	printf("%d of %d: %s\n", optind, argc, optind < argc ? argv[optind] : "none");

	printf("%d %u %x %#x %o %c %s %5d|%-5d|%05d|%.2s|%%\n", -1, 3U, 255, 255, 8, 'c', "text",
	       42, 42, 42, "abc");
	printf("%d\n", said("%s %lld %llu %zu\n", "said", (long long)wide, (unsigned long long)UINT64_MAX,
			    sizeof(uint32_t)));
	printf("%d %d %d\n", INT_MAX, INT_MIN, UCHAR_MAX);
	fprintf(stdout, "%s %d\n", "stream", 1);
	for (int size = 0; size < 12; size += 3) {
		char buffer[12] = "unwritten";

		c = snprintf(buffer, size, "%d %s", 1234, "text");
		printf("%d %d %s\n", size, c, buffer);
	}
	puts("a line");
	putchar('x');
	putchar('\n');

	first = malloc(100);
	second = malloc(1);
	assert(first && second && first != second);
	assert((uintptr_t)first % 8 == 0 && (uintptr_t)second % 8 == 0);
	memset(first, 'a', 99);
	first[99] = 0;
	printf("%zu\n", strlen(first));
	free(first);
	free(NULL);
	free(second);
	cells = calloc(50, 4);
	for (int i = 0; i < 200; i++)
		same = same && !cells[i];
	printf("%d\n", same);
	free(cells);

	cells = malloc(64);
	strcpy(cells, "some ");
	strcat(cells, "text");
	memmove(cells + 1, cells, 10);
	printf("%s %d %d %d\n", cells, strcmp("a", "a"), strcmp("a", "b") < 0, strncmp("ab", "ac", 1));
	printf("%s %s %s\n", strchr(cells, 'm'), strrchr(cells, 't'), strstr(cells, "tex"));
	printf("%d %s\n", memcmp("ab", "ab", 2), (char *)memchr(cells, 'e', 10));

	errno = ENOMEM;
	printf("%d %d\n", errno, ERANGE);
	printf("%d\n", getenv("BOOTSIM_NO_SUCH_VARIABLE") == NULL);
	exit(5);
}
