/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Moves are pulls (pull.c), of some hundred pages each, as pace.h says. Nothing is
 * served between the batches of one: control must not ask for a pull while one
 * runs, and does not know of these. Where the pages of a run are (engine.h), the
 * kernel is asked first: those that are on their new node, or have no memory, are
 * left out.
 */
#include <errno.h>
#include <numaif.h>
#include <sched.h>

#include "monitor/agent/placing/placed_internal.h"
#include "monitor/agent/placing/pull.h"

#define AT_ONCE	     (PACE_ACTIONS + PACE_RUN) /* pages: of a batch of moves */
#define LAB_BOUND_NS 1000000000ull

static int placed_go_on(void *arg, const struct agent_pulled *pulled)
{
	(void)arg;
	(void)pulled;
	return 0;
}

/*
 * Pages with one destination, in the order of their actions. One batch at a time:
 * 20 KiB that need not be on a stack.
 */
static struct placed_batch {
	struct agent_req_pull r;
	uint64_t pages[AT_ONCE];
	const struct ram_span *spans[AT_ONCE]; /* NULL: not mapped */
	void *at[AT_ONCE];		       /* in the worker; NULL */
	int before[AT_ONCE], after[AT_ONCE];   /* nodes; -errno */
	unsigned nr, wanted; /* wanted: pages that a move is asked for */
	bool runs;	     /* some are of runs: before is set */
	uint64_t spent_ns;
} batch;

/*
 * Pull, and what that took: the calls of move_pages(2). In a lab they wait for
 * other CPUs for as long as the lab's host lets those wait, so there it is what
 * this CPU has worked; 0 if the agent has changed CPU meanwhile.
 */
static uint64_t placed_pull(struct placed *p, const struct agent_req_pull *r)
{
	struct agent_pulled pulled = { 0 };
	int cpu = sched_getcpu();
	uint64_t work = placed_work(p, cpu);

	if (r->nr_ranges && pull(r, p->pagemap, &p->batch, &pulled,
				 placed_go_on, NULL) == -ESRCH)
		p->gone = true;
	if (!p->machine->work_ns)
		return pulled.total_ns;
	return cpu == sched_getcpu() ? placed_work(p, cpu) - work : 0;
}

/* A run of neighbours is one range. */
static void placed_add_range(struct placed *p, struct placed_batch *b,
			     uint64_t address)
{
	struct agent_req_pull *r = &b->r;
	struct agent_range *last = r->nr_ranges ? &r->ranges[r->nr_ranges - 1]
						: NULL;

	b->wanted++;
	if (last && last->start + last->bytes == address) {
		last->bytes += PAGE_BYTES;
		return;
	}
	if (r->nr_ranges == AGENT_MAX_RANGES) {
		b->spent_ns += placed_pull(p, r);
		r->nr_ranges = 0;
	}
	r->ranges[r->nr_ranges++] = (struct agent_range){ address, PAGE_BYTES };
}

/* Where the pages are. A page of which the kernel does not say: -ENOENT. */
static void placed_ask(const struct placed *p, struct placed_batch *b,
		       int *status)
{
	for (unsigned i = 0; i < b->nr; i++)
		status[i] = -ENOENT;
	if (move_pages(p->pid, b->nr, b->at, NULL, status, 0))
		for (unsigned i = 0; i < b->nr; i++)
			status[i] = -ENOENT;
}

/*
 * How long a call of move_pages(2) may take, by the wall's clock. That of a lab
 * runs for the lab's host, ten times as long and more for the same work: by it,
 * each call would be of one page or two.
 */
static uint64_t placed_bound_ns(const struct placed *p)
{
	return p->machine->work_ns ? max_u64(p->bound_ns, LAB_BOUND_NS)
				   : p->bound_ns;
}

static void placed_find_pages(const struct placed *p,
			      const struct placement_action *a, unsigned nr,
			      struct placed_batch *b)
{
	b->nr = b->wanted = 0;
	b->spent_ns = 0;
	b->runs = false;
	for (unsigned i = 0; i < nr; i++) {
		b->runs |= a[i].pages > 1;
		for (uint64_t k = 0; k < a[i].pages && b->nr < AT_ONCE; k++) {
			const struct ram_span *s = ram_spans_find(
				p->spans, p->nr_spans, a[i].page + k);

			b->pages[b->nr] = a[i].page + k;
			b->spans[b->nr] = s;
			b->at[b->nr++] = s ? (void *)(uintptr_t)ram_span_at(
						     s, a[i].page + k)
					   : NULL;
		}
	}
}

/* Does a page of a run need no move? */
static bool placed_is_needless(const struct placed_batch *b, unsigned at,
			       const struct placement_action *a, int32_t node)
{
	return a->pages > 1 &&
	       (!b->at[at] || b->before[at] == node || b->before[at] < 0);
}

/* In which frames pages of a batch are now. */
static void placed_look_up_batch(struct placed *p, const struct placed_batch *b,
				 unsigned at, unsigned nr)
{
	uint64_t done = 1;

	for (unsigned i = 0; i < nr && done && !p->machine->by_page;
	     i += (unsigned)done) {
		const struct ram_span *s = b->spans[at + i];
		uint64_t page = b->pages[at + i];

		done = s ? placed_look_up(
				   p, s, page,
				   min_u64(nr - i, s->page + s->pages - page))
			 : 1;
	}
}

/* Pages of one action with one outcome. */
static void placed_answer(struct placed *p, const struct placed_batch *b,
			  unsigned at, const struct placement_action *part,
			  bool needless, bool moved)
{
	uint64_t each_ns = b->wanted ? b->spent_ns / b->wanted : 0;

	placed_look_up_batch(p, b, at, part->pages);
	if (needless)
		placement_needless(p->engine, part);
	else
		trace_tap_done(&p->tap, p->engine, part, moved,
			       each_ns * part->pages);
}

/* Where the kernel says that each page is, whatever the pull has said. */
static void placed_account(struct placed *p, const struct placed_batch *b,
			   const struct placement_action *a, unsigned nr,
			   int32_t node)
{
	unsigned at = 0, end;

	for (unsigned i = 0; i < nr; i++) {
		unsigned behind = at + a[i].pages;

		for (; at < behind && at < b->nr; at = end) {
			struct placement_action part = a[i];
			bool needless = placed_is_needless(b, at, &a[i], node);
			bool moved = b->after[at] == node;

			for (end = at + 1; end < behind && end < b->nr; end++)
				if (placed_is_needless(b, end, &a[i], node) !=
					    needless ||
				    (b->after[end] == node) != moved)
					break;
			part.page = b->pages[at];
			part.pages = end - at;
			placed_answer(p, b, at, &part, needless, moved);
		}
	}
}

/* Actions with one destination, by page. */
static void placed_move_to(struct placed *p, const struct placement_action *a,
			   unsigned nr)
{
	struct placed_batch *b = &batch;
	int32_t node = p->machine->numbers[a[0].to];
	unsigned at = 0;

	b->r = (struct agent_req_pull){ .bound_ns = placed_bound_ns(p),
					.what = AGENT_FILE | AGENT_ANON,
					.pid = p->pid,
					.node = node };
	placed_find_pages(p, a, nr, b);
	if (b->runs)
		placed_ask(p, b, b->before);
	for (unsigned i = 0; i < nr; i++)
		for (unsigned k = 0; k < a[i].pages && at < b->nr; k++, at++)
			if (b->at[at] &&
			    !placed_is_needless(b, at, &a[i], node))
				placed_add_range(
					p, b, (uint64_t)(uintptr_t)b->at[at]);
	b->spent_ns += placed_pull(p, &b->r);
	if (p->machine->catch_up)
		p->machine->catch_up(p->machine->arg);
	placed_ask(p, b, b->after);
	placed_account(p, b, a, nr, node);
}

void placed_move_pages(struct placed *p, const struct placement_action *a,
		       unsigned nr)
{
	unsigned end;

	for (unsigned i = 0; i < nr; i = end) {
		for (end = i; end < nr && a[end].to == a[i].to; end++)
			;
		placed_move_to(p, a + i, end - i);
	}
}
