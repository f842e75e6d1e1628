/* SPDX-License-Identifier: BSD-2-Clause */
#include "numa/node_list.h"

#include <errno.h>
#include <stdio.h>

#include "numa/bind.h"

/* A number at *@at, which moves behind it. Return: -1: there is none. */
static nodeid_t list_number(const char **at)
{
	nodeid_t v = 0;

	if (**at < '0' || **at > '9')
		return -1;
	for (; **at >= '0' && **at <= '9'; (*at)++) {
		v = v * 10 + (**at - '0');
		if (v > NODE_ID_MAX)
			return -1;
	}
	return v;
}

static int list_add_range(struct node_list *l, nodeid_t from, nodeid_t to)
{
	for (nodeid_t id = from; id <= to; id++) {
		if (node_list_has(l, id))
			return -EEXIST;
		if (l->nr == MAX_NODES)
			return -E2BIG;
		l->ids[l->nr++] = id;
	}
	return 0;
}

int node_list_parse(const char *text, struct node_list *out)
{
	struct node_list l = { .nr = 0 };

	for (;; text++) {
		nodeid_t from = list_number(&text), to = from;
		int err;

		if (from >= 0 && *text == '-') {
			text++;
			to = list_number(&text);
		}
		if (from < 0 || to < from)
			return -EINVAL;
		err = list_add_range(&l, from, to);
		if (err)
			return err;
		if (*text != '+')
			break;
	}
	if (*text)
		return -EINVAL;
	*out = l;
	return 0;
}

const char *node_list_text(const struct node_list *l,
			   char buf[NODE_LIST_TEXT_MAX])
{
	size_t len = 0;
	unsigned end;

	buf[0] = '\0';
	for (unsigned i = 0; i < l->nr; i = end) {
		for (end = i + 1;
		     end < l->nr && l->ids[end] == l->ids[end - 1] + 1; end++)
			;
		/* At most 5 bytes per node: always enough. */
		len += (size_t)snprintf(buf + len, NODE_LIST_TEXT_MAX - len,
					"%s%d", i ? "+" : "", l->ids[i]);
		if (end - i > 1)
			len += (size_t)snprintf(buf + len,
						NODE_LIST_TEXT_MAX - len, "-%d",
						l->ids[end - 1]);
	}
	return buf;
}

bool node_list_has(const struct node_list *l, nodeid_t id)
{
	for (unsigned i = 0; i < l->nr; i++)
		if (l->ids[i] == id)
			return true;
	return false;
}

void node_list_add(struct node_list *l, nodeid_t id)
{
	if (!node_list_has(l, id) && l->nr < MAX_NODES)
		l->ids[l->nr++] = id;
}

void node_list_insert(struct node_list *l, nodeid_t id)
{
	unsigned i = l->nr;

	if (node_list_has(l, id) || l->nr == MAX_NODES)
		return;
	for (; i > 0 && l->ids[i - 1] > id; i--)
		l->ids[i] = l->ids[i - 1];
	l->ids[i] = id;
	l->nr++;
}

unsigned node_list_spread(const struct node_list *l, unsigned nr, unsigned i)
{
	return nr ? (unsigned)((uint64_t)i * l->nr / nr) : 0;
}
