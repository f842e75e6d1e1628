/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/agent/homes.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <unistd.h>

#include "disco/clock.h"
#include "monitor/agent/segment_engine.h"
#include "monitor/agent/segment_home.h"
#include "monitor/ipc/fds.h"

struct homes {
	struct homes_env env;
	LIST_HEAD(segment_homes, segment_home) list;
	uint64_t due_ns; /* CLOCK_MONOTONIC; UINT64_MAX: nothing is due */
};

int homes_create(const struct placed_machine *machine, int epoll_fd,
		 void (*send)(void *arg, const struct agent_answer *a),
		 void *arg, struct homes **out)
{
	struct homes *hs = calloc(1, sizeof(*hs));

	if (!hs)
		return -ENOMEM;
	hs->env = (struct homes_env){ machine, epoll_fd, send, arg };
	hs->due_ns = UINT64_MAX;
	*out = hs;
	return 0;
}

static void homes_end(struct segment_home *g)
{
	LIST_REMOVE(g, entry);
	segment_home_destroy(g);
}

void homes_destroy(struct homes *hs)
{
	if (!hs)
		return;
	while (!LIST_EMPTY(&hs->list))
		homes_end(LIST_FIRST(&hs->list));
	free(hs);
}

static struct segment_home *homes_find(const struct homes *hs, uint64_t id)
{
	struct segment_home *g;

	LIST_FOREACH(g, &hs->list, entry)
		if (g->id == id)
			break;
	return g;
}

static void homes_begin(struct homes *hs, const struct agent_req_segment *r,
			const int *fds)
{
	struct segment_home *g = homes_find(hs, r->segment);

	if (g)
		homes_end(g);
	/* One that cannot be made is asked for nothing: its VMs wait. */
	if (fds[0] < 0 || segment_home_create(r, &hs->env, fds, &g)) {
		if (fds[0] < 0)
			fds_close(fds, FDS_MAX);
		return;
	}
	LIST_INSERT_HEAD(&hs->list, g, entry);
}

/* About a segment that there is not: nothing. */
static void homes_of_segment(struct segment_home *g,
			     const struct agent_request *r, const int *fds)
{
	switch ((enum agent_request_kind)r->kind) {
	case AGENT_SEGMENT_NODE:
		segment_home_node(g, &r->segment_node, fds[0]);
		return;
	case AGENT_VIEW:
		segment_home_view(g, &r->view, fds);
		return;
	case AGENT_VIEW_END:
		segment_home_view_end(g, r->view.view);
		break;
	case AGENT_SEGMENT_READY:
		segment_home_ready(g);
		break;
	case AGENT_SEGMENT_END:
		homes_end(g);
		break;
	case AGENT_SEGMENT_DO:
		segment_home_do(g, &r->segment_do);
		break;
	default:
		break;
	}
	fds_close(fds, FDS_MAX);
}

static uint64_t homes_id_of(const struct agent_request *r)
{
	switch ((enum agent_request_kind)r->kind) {
	case AGENT_SEGMENT_NODE:
		return r->segment_node.segment;
	case AGENT_VIEW:
	case AGENT_VIEW_END:
		return r->view.segment;
	case AGENT_SEGMENT_DO:
		return r->segment_do.segment;
	default:
		return r->segment_end.segment;
	}
}

void homes_obey(struct homes *hs, const struct agent_request *r, const int *fds)
{
	struct segment_home *g;

	hs->due_ns = 0;
	if (r->kind == AGENT_SEGMENT) {
		homes_begin(hs, &r->segment, fds);
		return;
	}
	g = homes_find(hs, homes_id_of(r));
	if (g)
		homes_of_segment(g, r, fds);
	else
		fds_close(fds, FDS_MAX);
}

bool homes_wake(struct homes *hs, void *which, uint32_t events)
{
	/* Links of the cache have even addresses here. */
	if (!((uintptr_t)which & 1))
		return false;
	home_link_wake((struct home_link *)((uintptr_t)which & ~1ul), events);
	hs->due_ns = 0;
	return true;
}

int homes_wait_ms(const struct homes *hs)
{
	uint64_t now, ms;

	if (hs->due_ns == UINT64_MAX)
		return -1;
	now = clock_now_ns();
	if (now >= hs->due_ns)
		return 0;
	ms = (hs->due_ns - now) / 1000000 + 1;
	return ms > 1000 ? 1000 : (int)ms;
}

bool homes_turn(struct homes *hs)
{
	uint64_t now = clock_now_ns();
	struct segment_home *g;

	if (now < hs->due_ns)
		return false;
	hs->due_ns = UINT64_MAX;
	LIST_FOREACH(g, &hs->list, entry)
		hs->due_ns = min_u64(hs->due_ns, segment_home_turn(g, now));
	return hs->due_ns <= now;
}

/* --- accesses ------------------------------------------------------------- */

static bool homes_any(void *arg)
{
	const struct homes *hs = arg;
	const struct segment_home *g;

	LIST_FOREACH(g, &hs->list, entry)
		if (g->engine)
			return true;
	return false;
}

static bool homes_find_frame(void *arg, uint64_t frame, uint32_t *which,
			     uint64_t *page)
{
	const struct homes *hs = arg;
	const struct segment_home *g;
	uint32_t i = 0;

	LIST_FOREACH(g, &hs->list, entry) {
		if (g->engine && segment_engine_find(g->engine, frame, page)) {
			*which = i;
			return true;
		}
		i++;
	}
	return false;
}

static void homes_record(void *arg, uint32_t which,
			 const struct access_record *r)
{
	struct homes *hs = arg;
	struct segment_home *g;

	LIST_FOREACH(g, &hs->list, entry)
		if (which-- == 0 && g->engine) {
			segment_engine_record(g->engine, r);
			hs->due_ns = 0;
		}
}

const struct placing_others homes_accesses = { homes_any, homes_find_frame,
					       homes_record };
