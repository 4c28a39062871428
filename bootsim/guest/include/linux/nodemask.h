/* SPDX-License-Identifier: GPL-2.0-only */
/* Sets of nodes; Linux: include/linux/nodemask.h */
#pragma once

#include <linux/bitops.h>
#include <linux/numa.h>

typedef struct {
	DECLARE_BITMAP(bits, MAX_NUMNODES);
} nodemask_t;

enum node_states {
	N_POSSIBLE,
	N_ONLINE,
	N_NORMAL_MEMORY,
#ifdef CONFIG_HIGHMEM
	N_HIGH_MEMORY,
#else
	N_HIGH_MEMORY = N_NORMAL_MEMORY,
#endif
	N_MEMORY,
	N_CPU,
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 8, 0)
	N_GENERIC_INITIATOR,
#endif
	NR_NODE_STATES
};

#define node_set(node, mask) __set_bit(node, (mask).bits)
#define node_clear(node, mask) __clear_bit(node, (mask).bits)
#define node_isset(node, mask) test_bit(node, (mask).bits)
#define first_node(mask) ((int)find_first_bit((mask).bits, MAX_NUMNODES))
#define next_node(node, mask) ((int)find_next_bit((mask).bits, MAX_NUMNODES, (node) + 1))
#define for_each_node_mask(node, mask) \
	for ((node) = first_node(mask); (node) < MAX_NUMNODES; (node) = next_node(node, mask))

#if MAX_NUMNODES > 1
extern nodemask_t node_states[NR_NODE_STATES];
extern unsigned int nr_node_ids;
#define node_state(node, state) node_isset(node, node_states[state])
#define for_each_node_state(node, state) for_each_node_mask(node, node_states[state])
#define first_online_node first_node(node_states[N_ONLINE])
#else
#define nr_node_ids 1U
#define node_state(node, state) ((node) == 0)
#define for_each_node_state(node, state) for ((node) = 0; (node) == 0; (node) = 1)
#define first_online_node 0
#endif

#define node_online(node) node_state(node, N_ONLINE)
#define node_possible(node) node_state(node, N_POSSIBLE)
#define for_each_node(node) for_each_node_state(node, N_POSSIBLE)
#define for_each_online_node(node) for_each_node_state(node, N_ONLINE)
