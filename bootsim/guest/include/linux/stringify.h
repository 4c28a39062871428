/* SPDX-License-Identifier: GPL-2.0-only */
/* A macro's expansion as a string; Linux: include/linux/stringify.h */
#pragma once

#define __stringify_1(...) #__VA_ARGS__
#define __stringify(...) __stringify_1(__VA_ARGS__)
