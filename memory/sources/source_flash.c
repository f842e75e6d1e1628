/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory/sources/source_flash.h"

#include <errno.h>
#include <stdlib.h>

struct flash_source {
	struct access_source source;
	struct flash_source_config c;
	struct flash_cursor cursor;
	unsigned next; /* node whose queue is read first: each has its turn */
};

static bool flash_source_record(struct flash_source *s, unsigned node,
				const struct flash_page_hot *hot,
				struct access_record *out)
{
	int home = flash_node_of_frame(s->c.flash, hot->frame);

	*out = (struct access_record){
		.weight = s->c.flash->trigger,
		.vcpu = ACCESS_NO_VCPU,
		.node = s->c.index_of[node],
		.home = home < 0 ? ACCESS_NO_NODE : s->c.index_of[home],
		.kind = hot->write ? POLICY_WRITE : POLICY_READ,
		.class = ACCESS_MISS,
		.counted = 1,
	};
	if (out->home == ACCESS_NO_NODE || out->node == ACCESS_NO_NODE ||
	    !s->c.find(s->c.arg, hot->frame, &out->vm, &out->page)) {
		s->source.strange++;
		return false;
	}
	return true;
}

static int flash_source_read(struct access_source *source,
			     struct access_record *out, unsigned max)
{
	struct flash_source *s =
		container_of(source, struct flash_source, source);
	unsigned nr_nodes = s->c.flash->nr_nodes, nr = 0;
	struct flash_page_hot hot;
	uint64_t now = flash_clock_read(s->c.flash, s->c.clock);

	for (unsigned i = 0; i < nr_nodes; i++) {
		unsigned at = s->next + i;
		unsigned node = at < nr_nodes ? at : at - nr_nodes;

		while (nr < max &&
		       flash_take_hot(s->c.flash, &s->cursor, node, &hot)) {
			if (!flash_source_record(s, node, &hot, &out[nr]))
				continue;
			out[nr++].time_ns = now;
		}
	}
	s->next = s->next + 1 < nr_nodes ? s->next + 1 : 0;
	s->source.lost = s->cursor.lost;
	return (int)nr;
}

static void flash_source_destroy(struct access_source *source)
{
	free(container_of(source, struct flash_source, source));
}

static const struct access_source_ops flash_source_ops = {
	.name = "flash",
	.class = ACCESS_MISS,
	.read = flash_source_read,
	.destroy = flash_source_destroy,
};

int flash_source_create(struct access_source **out,
			const struct flash_source_config *c)
{
	struct flash_source *s;

	if (!c->flash->trigger)
		return -EINVAL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->source.ops = &flash_source_ops;
	s->c = *c;
	flash_skip_hots(c->flash, &s->cursor);
	*out = &s->source;
	return 0;
}
