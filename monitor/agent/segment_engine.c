/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/agent/segment_engine.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "disco/pagemap.h"
#include "memory/placement/frames.h"
#include "monitor/agent/segment_home.h"
#include "monitor/ipc/fds.h"

#define ENGINE_ENTRIES 512u
#define ENGINE_ACTIONS 128u
#define COPY_NS	       10000u /* of a page, before the first was measured */
#define FRAME_BITS     ((1ull << 55) - 1)

struct segment_engine {
	int pagemap; /* of this process */
	struct frame_map *frames;
	struct placement *engine;
};

int segment_engine_create(const char *policy, const struct placed_machine *m,
			  uint64_t pages, int pagemap,
			  struct segment_engine **out)
{
	struct placement_config c = {
		.pages = pages,
		.nr_nodes = m->nr_nodes,
		.latency_ns = m->latency_ns,
		.move_ns = COPY_NS,
		.replicas = true,
	};
	struct segment_engine *e = calloc(1, sizeof(*e));
	struct diag d = { 0 };
	int err;

	if (!e) {
		(void)close(pagemap);
		return -ENOMEM;
	}
	e->pagemap = pagemap;
	err = m->nr_nodes ? policy_parse(policy, m->plugin, &c.choice, &d)
			  : -EINVAL;
	if (!err)
		err = frame_map_create(&e->frames, pages);
	if (!err)
		err = placement_create(&e->engine, &c);
	if (err)
		segment_engine_destroy(e);
	else
		*out = e;
	return err;
}

void segment_engine_destroy(struct segment_engine *e)
{
	if (!e)
		return;
	placement_destroy(e->engine);
	frame_map_destroy(e->frames);
	fds_drop(&e->pagemap);
	free(e);
}

void segment_engine_look_up(struct segment_engine *e, const void *at,
			    uint64_t first, uint64_t nr)
{
	uint64_t entries[ENGINE_ENTRIES];
	int64_t got = pagemap_read(e->pagemap, (uintptr_t)at / PAGE_BYTES,
				   entries, min_u64(nr, ENGINE_ENTRIES));

	for (int64_t i = 0; i < got; i++)
		frame_map_set(e->frames, first + (uint64_t)i,
			      entries[i] & PM_PRESENT ? entries[i] & FRAME_BITS
						      : 0);
}

bool segment_engine_find(const struct segment_engine *e, uint64_t frame,
			 uint64_t *page)
{
	return frame_map_find(e->frames, frame, page);
}

void segment_engine_record(struct segment_engine *e,
			   const struct access_record *r)
{
	struct access_record page = *r;

	/* The home proves it, or there is no copy. */
	page.page_flags |= POLICY_PAGE_SHARED | POLICY_PAGE_UNWRITTEN;
	(void)placement_record(e->engine, &page);
}

/* Whether there is a copy is known later, and costs what it costs by then. */
static bool engine_replicate(struct segment_home *g,
			     const struct placement_action *a, uint64_t now_ns)
{
	return a->action == POLICY_REPLICATE &&
	       home_replicate(&g->home, (uint32_t)a->page, 1ull << a->to,
			      now_ns) == 0;
}

void segment_engine_turn(struct segment_engine *e, struct segment_home *g,
			 uint64_t now_ns)
{
	struct placement_action a[ENGINE_ACTIONS];
	unsigned nr = placement_take(e->engine, a, ENGINE_ACTIONS);

	for (unsigned i = 0; i < nr; i++)
		placement_done(e->engine, &a[i],
			       engine_replicate(g, &a[i], now_ns), 0);
}
