/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A list of nodes, each at most once, in the order in which they were named. As
 * text: numbers and ranges, separated by "+": "0-3", "2+0-1".
 *
 * Context of all functions: any thread; no side effects.
 */
#ifndef DISCO_NUMA_NODE_LIST_H
#define DISCO_NUMA_NODE_LIST_H

#include "disco/base.h"

#define NODE_LIST_TEXT_MAX 384 /* bytes of node_list_text(), with NUL */

struct node_list {
	unsigned nr;
	nodeid_t ids[MAX_NODES];
};

/**
 * node_list_parse() - read a list
 * @out: untouched on error
 *
 * Return: 0; -EINVAL it is no such list, a range is descending, or a number is
 * above NODE_ID_MAX; -EEXIST a node is named twice; -E2BIG more than MAX_NODES.
 */
MUST_CHECK int node_list_parse(const char *text, struct node_list *out);

/* Format it: neighbours that ascend as a range. Return: @buf; "" if empty. */
const char *node_list_text(const struct node_list *l,
			   char buf[NODE_LIST_TEXT_MAX]);

/* Return: true if node @id is in the list. */
bool node_list_has(const struct node_list *l, nodeid_t id);

/* Add a node unless it is there, or the list is full. */
void node_list_add(struct node_list *l, nodeid_t id);

/* Add a node, as above, before all that have a higher number. */
void node_list_insert(struct node_list *l, nodeid_t id);

/**
 * node_list_spread() - spread numbered things evenly over a list
 * @nr: how many things; at least l->nr
 * @i:  0 .. @nr - 1
 *
 * Things with neighbouring numbers are on one node, and no node has more than
 * one thing more than another one has.
 *
 * Return: the index in the list for thing @i; 0 for an empty list.
 */
unsigned node_list_spread(const struct node_list *l, unsigned nr, unsigned i);

#endif
