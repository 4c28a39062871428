/* SPDX-License-Identifier: GPL-2.0-only */
/* getopt_long_only(3). */
#ifndef BOOTSIM_GETOPT_H
#define BOOTSIM_GETOPT_H

#define no_argument 0
#define required_argument 1
#define optional_argument 2

struct option {
	const char *name;
	int has_arg;
	int *flag;
	int val;
};

extern char *optarg;
extern int optind, opterr, optopt;

int getopt_long_only(int argc, char *const argv[], const char *short_options,
		     const struct option *long_options, int *index);

#endif
