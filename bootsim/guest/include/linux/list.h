/* SPDX-License-Identifier: GPL-2.0-only */
/* Rings of structures; Linux: include/linux/list.h */
#pragma once

#include <linux/container_of.h>
#include <linux/poison.h>
#include <linux/types.h>

#define LIST_HEAD_INIT(name) { &(name), &(name) }
#define LIST_HEAD(name) struct list_head name = LIST_HEAD_INIT(name)

static inline void INIT_LIST_HEAD(struct list_head *list)
{
	list->next = list->prev = list;
}

static inline void __list_link(struct list_head *prev, struct list_head *next)
{
	prev->next = next;
	next->prev = prev;
}

static inline void __list_add(struct list_head *entry, struct list_head *prev,
			      struct list_head *next)
{
	__list_link(prev, entry);
	__list_link(entry, next);
}

static inline void list_add(struct list_head *entry, struct list_head *head)
{
	__list_add(entry, head, head->next);
}

static inline void list_add_tail(struct list_head *entry, struct list_head *head)
{
	__list_add(entry, head->prev, head);
}

static inline void list_del(struct list_head *entry)
{
	__list_link(entry->prev, entry->next);
	entry->next = LIST_POISON1;
	entry->prev = LIST_POISON2;
}

static inline void list_del_init(struct list_head *entry)
{
	__list_link(entry->prev, entry->next);
	INIT_LIST_HEAD(entry);
}

static inline void list_replace(struct list_head *old, struct list_head *entry)
{
	__list_link(entry, old->next);
	__list_link(old->prev, entry);
}

static inline void list_move(struct list_head *entry, struct list_head *head)
{
	__list_link(entry->prev, entry->next);
	list_add(entry, head);
}

static inline void list_move_tail(struct list_head *entry, struct list_head *head)
{
	__list_link(entry->prev, entry->next);
	list_add_tail(entry, head);
}

static inline int list_empty(const struct list_head *head)
{
	return READ_ONCE(head->next) == head;
}

static inline int list_is_singular(const struct list_head *head)
{
	return !list_empty(head) && head->next == head->prev;
}

static inline int list_is_last(const struct list_head *entry, const struct list_head *head)
{
	return entry->next == head;
}

static inline int list_is_first(const struct list_head *entry, const struct list_head *head)
{
	return entry->prev == head;
}

/* All of `list` goes behind `head`. */
static inline void list_splice(const struct list_head *list, struct list_head *head)
{
	struct list_head *after = head->next;

	if (list_empty(list))
		return;
	__list_link(head, list->next);
	__list_link(list->prev, after);
}

static inline void list_splice_init(struct list_head *list, struct list_head *head)
{
	list_splice(list, head);
	INIT_LIST_HEAD(list);
}

#define list_entry(pointer, type, member) container_of(pointer, type, member)
#define list_first_entry(head, type, member) list_entry((head)->next, type, member)
#define list_last_entry(head, type, member) list_entry((head)->prev, type, member)
#define list_first_entry_or_null(head, type, member) \
	(list_empty(head) ? NULL : list_first_entry(head, type, member))
#define list_next_entry(position, member) \
	list_entry((position)->member.next, typeof(*(position)), member)
#define list_prev_entry(position, member) \
	list_entry((position)->member.prev, typeof(*(position)), member)
#define list_entry_is_head(position, head, member) (&(position)->member == (head))

#define list_for_each(position, head) \
	for (position = (head)->next; position != (head); position = position->next)
#define list_for_each_prev(position, head) \
	for (position = (head)->prev; position != (head); position = position->prev)
#define list_for_each_safe(position, following, head) \
	for (position = (head)->next, following = position->next; position != (head); \
	     position = following, following = position->next)
#define list_for_each_entry(position, head, member) \
	for (position = list_first_entry(head, typeof(*position), member); \
	     !list_entry_is_head(position, head, member); \
	     position = list_next_entry(position, member))
#define list_for_each_entry_reverse(position, head, member) \
	for (position = list_last_entry(head, typeof(*position), member); \
	     !list_entry_is_head(position, head, member); \
	     position = list_prev_entry(position, member))
#define list_for_each_entry_safe(position, following, head, member) \
	for (position = list_first_entry(head, typeof(*position), member), \
	     following = list_next_entry(position, member); \
	     !list_entry_is_head(position, head, member); \
	     position = following, following = list_next_entry(following, member))
