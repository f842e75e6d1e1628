/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames are looked up by slices: all of the VM's, over and over, with a rest
 * between two rounds that is SCAN_REST times as long as a round has taken; and
 * those of pages that were moved, at once. All times are of placed_machine's
 * clock, but for the time of a round, which is this thread's work. What a record
 * says of a page that changed its frame since is wrong for that long, and such a
 * record is one of many. A page that was touched since is unknown for that long:
 * it is where it was touched.
 *
 * A guest with copies of pages for its views has its RAM mapped several times, and
 * no mapping has all pages that are there. So pages are looked up in all of them,
 * and what is shown over RAM, a copy, is left out: accesses to copies are nobody's.
 * Its engine's decisions go to the owner of the copies (copies_ask.h).
 *
 * Moves are pulls (pull.c), of some hundred pages each, as pace.h says. Nothing is
 * served between the batches of one: control must not ask for a pull while one
 * runs, and does not know of these. Where the pages of a run are (engine.h), the
 * kernel is asked first: those that are on their new node, or have no memory, are
 * left out.
 *
 * 860 lines because looking frames up, deciding and moving share one state; they are
 * to become a room of their own, with placing.c.
 */
#include "monitor/agent/placing/placed.h"

#include <errno.h>
#include <numaif.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "disco/clock.h"
#include "disco/pagemap.h"
#include "memory/guest_ram.h"
#include "memory/placement/frames.h"
#include "memory/replica/copies_ask.h"
#include "memory/trace/trace_tap.h"
#include "monitor/agent/placing/pace.h"
#include "monitor/agent/placing/pull.h"
#include "monitor/agent/placing/ram_spans.h"
#include "monitor/ipc/fds.h"
#include "monitor/ipc/figures.h"
#include "numa/region.h"

#define SCAN_ENTRIES 512u
#define SCAN_NS	     5000000ull	  /* of a turn */
#define SCAN_REST    50u	  /* 2 % of a CPU */
#define SCAN_SOON_NS 100000000ull /* shortest rest */
#define SPANS_MAX    65536u	  /* as many mappings as Linux allows */
#define AT_ONCE	     (PACE_ACTIONS + PACE_RUN) /* pages: of a batch of moves */
#define LAB_BOUND_NS 1000000000ull
#define FRAME_BITS   ((1ull << 55) - 1)
#define HINTS_TURN   HINT_LOG_ENTRIES /* per turn */
/* Mappings of RAM: one per view, the host's, the one that copies are made from. */
#define GROUPS_MAX (VM_MAX_VIEWS + 2u)

struct placed {
	uint64_t vm, bound_ns, ram_pages;
	uint64_t nodes; /* of struct agent_req_place */
	pid_t pid;
	int pagemap, maps;
	const struct placed_machine *machine; /* not owned */
	struct region region;		      /* of the engine's figures */
	struct region_view worker;	      /* its figures; may be empty */
	uint64_t next_hint;		      /* to read of them */
	uint64_t next_fault;		      /* the same, of its samples */
	struct placement *engine;
	char policy[AGENT_POLICY_MAX];
	struct region ring;   /* of a recording; empty: there is none */
	struct trace_tap tap; /* of the engine */
	struct frame_map *frames;
	struct ram_span *spans; /* SPANS_MAX */
	unsigned nr_spans;
	unsigned group_end[GROUPS_MAX], nr_groups; /* of the spans */
	struct copies_ask *copies; /* NULL: it has no copies, or no link yet */
	/* Of the round that is under way. */
	bool scanning, scanned; /* scanned: there was one */
	unsigned scan_span;
	uint64_t scan_page;  /* of the span */
	uint64_t scanned_ns; /* end of the last slice */
	uint64_t spent_ns;   /* by the round that is under way, or the last */
	struct pace pace;
	unsigned batch; /* pages of the first batch of a pull, see pull() */
	bool gone;
};

static uint64_t placed_now(const struct placed *p)
{
	return p->machine->now_ns(p->machine->arg);
}

static int placed_parse(const struct placed *p, const char *text,
			struct policy_choice *out)
{
	struct diag d = { 0 };

	/* Control has checked it; what it said is of no use here. */
	return policy_parse(text, p->machine->plugin, out, &d);
}

static void placed_look_up_page(void *arg, uint64_t page);

static struct copies_ask_engine placed_ask_engine(struct placed *p)
{
	return (struct copies_ask_engine){
		.tap = &p->tap,
		.engine = p->engine,
		.pages = p->ram_pages,
		.nodes = p->machine->numbers,
		.timed = !p->machine->work_ns,
		.moved = placed_look_up_page,
		.arg = p,
	};
}

static int placed_create_engine(struct placed *p, const char *policy)
{
	struct placement_config c = {
		.pages = p->ram_pages,
		.nr_nodes = p->machine->nr_nodes,
		.latency_ns = p->machine->latency_ns,
		.move_ns = PLACEMENT_MOVE_NS,
		.figures = p->region.base,
		.run_pages = PACE_RUN,
	};
	int err = placed_parse(p, policy, &c.choice);

	return err ? err : placement_create(&p->engine, &c);
}

/* What was sampled before, another agent has read, or nobody: it is old. */
static void placed_skip_faults(struct placed *p)
{
	const struct figures *f = p->worker.base;

	if (f)
		p->next_fault = atomic_load_explicit(&f->fault_log.written,
						     memory_order_acquire);
}

int placed_create(const struct agent_req_place *r,
		  const struct placed_machine *m, const int *fds,
		  struct placed **out)
{
	struct placed *p = calloc(1, sizeof(*p));
	int region = fds[2], err;

	if (!p) {
		fds_close(fds, FDS_MAX);
		return -ENOMEM;
	}
	*p = (struct placed){ .vm = r->vm,
			      .bound_ns = r->bound_ns,
			      .ram_pages = r->ram_pages,
			      .nodes = r->nodes,
			      .pid = (pid_t)r->pid,
			      .pagemap = fds[0],
			      .maps = fds[1],
			      .machine = m };
	memcpy(p->policy, r->policy, sizeof(p->policy));
	p->spans = calloc(SPANS_MAX, sizeof(*p->spans));
	err = m->nr_nodes == 0 ? -EINVAL : p->spans ? 0 : -ENOMEM;
	if (!err)
		err = region_take(&p->region, region, PLACEMENT_BYTES);
	if (!err)
		region = -1; /* the region's now */
	if (!err)
		err = frame_map_create(&p->frames, p->ram_pages);
	if (!err)
		err = placed_create_engine(p, r->policy);
	if (region >= 0)
		(void)close(region);
	/* A worker whose figures are strange gives no hints. */
	if (fds[3] >= 0) {
		(void)!region_attach(&p->worker, fds[3], FIGURES_BYTES);
		(void)close(fds[3]);
	}
	if (err) {
		placed_destroy(p);
		return err;
	}
	placed_nodes_changed(p);
	placed_skip_faults(p);
	*out = p;
	return 0;
}

void placed_destroy(struct placed *p)
{
	if (!p)
		return;
	if (p->copies)
		copies_link_close(&p->copies->link);
	free(p->copies);
	placement_destroy(p->engine);
	frame_map_destroy(p->frames);
	region_destroy(&p->region);
	region_destroy(&p->ring);
	region_detach(&p->worker);
	free(p->spans);
	fds_drop(&p->pagemap);
	fds_drop(&p->maps);
	free(p);
}

uint64_t placed_vm(const struct placed *p)
{
	return p->vm;
}

int placed_set_policy(struct placed *p, const char *policy)
{
	struct policy_choice choice;
	int err = placed_parse(p, policy, &choice);

	if (!err)
		err = placement_set_policy(p->engine, &choice);
	if (err)
		return err;
	/* What is decided from now on is about the frames of now. */
	p->scanned = p->scanning = false;
	(void)snprintf(p->policy, sizeof(p->policy), "%s", policy);
	trace_tap_policy(&p->tap, placed_now(p), p->policy);
	return 0;
}

void placed_link_copies(struct placed *p, const int *fds)
{
	struct copies_ask_engine e = placed_ask_engine(p);

	if (!p->copies)
		p->copies = calloc(1, sizeof(*p->copies));
	if (!p->copies) {
		fds_close(fds, COPIES_LINK_FDS);
		return;
	}
	/* Where pages are is looked up in another way from now on. */
	p->scanned = p->scanning = false;
	/* As if the owner refused all: it goes by its own scan. */
	(void)!copies_ask_open(p->copies, &e, fds);
}

static void placed_trace_put(void *ring, const struct trace_item *i)
{
	trace_ring_put(ring, i);
}

int placed_trace(struct placed *p, int fd)
{
	int err;

	placed_trace_end(p);
	err = region_take(&p->ring, fd, TRACE_RING_BYTES);
	if (err) {
		(void)close(fd);
		return err;
	}
	placement_destroy(p->engine);
	p->engine = NULL;
	if (placed_create_engine(p, p->policy))
		return -ENOMEM;
	trace_ring_begin(p->ring.base);
	p->tap = (struct trace_tap){ .to = placed_trace_put,
				     .arg = p->ring.base };
	trace_tap_policy(&p->tap, placed_now(p), p->policy);
	placed_nodes_changed(p);
	if (p->copies) {
		struct copies_ask_engine e = placed_ask_engine(p);

		return copies_ask_begin(p->copies, &e);
	}
	return 0;
}

void placed_trace_end(struct placed *p)
{
	p->tap = (struct trace_tap){ 0 };
	region_destroy(&p->ring);
}

void placed_nodes_changed(struct placed *p)
{
	for (unsigned i = 0; i < p->machine->nr_nodes; i++) {
		struct policy_node n = p->machine->nodes[i];

		/* To a policy, a node that is none of the VM's has no room. */
		if (p->nodes && !(p->nodes >> i & 1))
			n.has_memory = 0;
		trace_tap_node(&p->tap, p->engine, i, &n);
	}
}

bool placed_find(const struct placed *p, uint64_t frame, uint64_t *page)
{
	return frame_map_find(p->frames, frame, page);
}

static bool placed_is_linked(const struct placed *p)
{
	return p->copies && copies_link_is_open(&p->copies->link);
}

void placed_record(struct placed *p, const struct access_record *r)
{
	struct access_record page = *r;

	/* Its owner proves it, or there is no copy. */
	if (placed_is_linked(p))
		page.page_flags |= POLICY_PAGE_SHARED | POLICY_PAGE_UNWRITTEN;
	trace_tap_record(&p->tap, p->engine, &page);
}

void placed_count(struct placed *p, uint64_t cpu_ns, uint64_t lost)
{
	placement_count_owner(p->engine, cpu_ns, lost, 0);
}

/* --- frames --------------------------------------------------------------- */

/* Of a page that is the guest's own: what is shown over its RAM is not. */
static uint64_t placed_frame_of(uint64_t entry, const struct ram_span *s)
{
	return pull_wants(entry, s->own) ? entry & FRAME_BITS : 0;
}

/* Of pages of a span, from one on. Return: how many; 0: its memory is gone. */
static uint64_t placed_look_up(struct placed *p, const struct ram_span *s,
			       uint64_t page, uint64_t nr)
{
	uint64_t entries[SCAN_ENTRIES];
	int64_t got = pagemap_read(p->pagemap,
				   ram_span_at(s, page) / PAGE_BYTES, entries,
				   min_u64(nr, SCAN_ENTRIES));

	if (got <= 0) {
		p->gone = true;
		return 0;
	}
	for (uint64_t i = 0; i < (uint64_t)got; i++)
		frame_map_set(p->frames, page + i,
			      placed_frame_of(entries[i], s));
	return (uint64_t)got;
}

/*
 * The part of a span that lies in @nr pages from @page on: frames of pages that
 * are there. Return: false: its memory is gone.
 */
static bool placed_look_in(struct placed *p, const struct ram_span *s,
			   uint64_t page, uint64_t nr, uint64_t *frames)
{
	uint64_t entries[SCAN_ENTRIES];
	uint64_t from = max_u64(s->page, page);
	uint64_t to = min_u64(s->page + s->pages, page + nr);
	int64_t got = pagemap_read(p->pagemap,
				   ram_span_at(s, from) / PAGE_BYTES, entries,
				   to - from);

	for (int64_t i = 0; i < got; i++) {
		uint64_t frame = placed_frame_of(entries[i], s);

		if (frame)
			frames[from - page + (uint64_t)i] = frame;
	}
	return got > 0;
}

/*
 * Of pages from one on, at most SCAN_ENTRIES, in all mappings of RAM: a page is
 * where one of them has it. Return: as placed_look_in().
 */
static bool placed_look_in_all(struct placed *p, uint64_t page, uint64_t nr)
{
	uint64_t frames[SCAN_ENTRIES] = { 0 };
	unsigned first = 0;

	for (unsigned g = 0; g < p->nr_groups; first = p->group_end[g++]) {
		const struct ram_span *s = p->spans + first;
		unsigned n = p->group_end[g] - first;

		for (unsigned i = ram_spans_beyond(s, n, page);
		     i < n && s[i].page < page + nr; i++)
			/* What is shown over RAM is a copy. */
			if (s[i].own == AGENT_FILE &&
			    !placed_look_in(p, &s[i], page, nr, frames))
				return false;
	}
	for (uint64_t i = 0; i < nr; i++)
		frame_map_set(p->frames, page + i, frames[i]);
	return true;
}

static void placed_look_up_page(void *arg, uint64_t page)
{
	struct placed *p = arg;

	p->gone |= !placed_look_in_all(p, page, 1);
}

/* More mappings than there can be: those beyond are left out. */
static void placed_find_groups(struct placed *p)
{
	unsigned end = 0;

	p->nr_groups = 0;
	while (end < p->nr_spans && p->nr_groups < GROUPS_MAX) {
		end = ram_spans_group(p->spans, p->nr_spans, end);
		p->group_end[p->nr_groups++] = end;
	}
}

static void placed_begin_round(struct placed *p)
{
	int nr = ram_spans_read(p->maps, p->ram_pages, p->spans, SPANS_MAX);

	if (nr < 0) {
		p->gone = true;
		return;
	}
	/*
	 * A worker that has just begun may have mapped nothing yet; control
	 * says so when one has ended.
	 */
	p->nr_spans = (unsigned)nr;
	placed_find_groups(p);
	p->spent_ns = 0;
	p->scanning = nr > 0;
	p->scan_span = 0;
	p->scan_page = 0;
}

static void placed_scan_slice_of_all(struct placed *p)
{
	uint64_t nr = min_u64(SCAN_ENTRIES, p->ram_pages - p->scan_page);

	if (!placed_look_in_all(p, p->scan_page, nr))
		p->gone = true;
	p->scan_page += nr;
	p->scanning = p->scan_page < p->ram_pages;
}

/* Of a round. At its end there is none under way. */
static void placed_scan_slice(struct placed *p)
{
	const struct ram_span *s = &p->spans[p->scan_span];

	if (p->copies) {
		placed_scan_slice_of_all(p);
		return;
	}
	p->scan_page += placed_look_up(p, s, s->page + p->scan_page,
				       s->pages - p->scan_page);
	if (p->scan_page < s->pages)
		return;
	p->scan_page = 0;
	p->scanning = ++p->scan_span < p->nr_spans;
}

/* @cpu: that this thread runs on */
static uint64_t placed_work(const struct placed *p, int cpu)
{
	return p->machine->work_ns && cpu >= 0
		       ? p->machine->work_ns(p->machine->arg, (unsigned)cpu)
		       : 0;
}

/* What this thread has worked: in a lab, as far as it stays on its CPU. */
static uint64_t placed_worked(const struct placed *p, int cpu)
{
	return p->machine->work_ns ? placed_work(p, cpu) : clock_thread_ns();
}

/*
 * The mappings alone, where nobody asks for the pages of frames. They change as
 * pages are sampled and shown; a span that is wrong is a page without a home.
 */
static void placed_scan_spans(struct placed *p, int cpu)
{
	uint64_t begun = placed_worked(p, cpu);

	placed_begin_round(p);
	p->scanning = false;
	p->spent_ns = placed_worked(p, cpu) - begun;
}

/* Some of a round. Not time that passes, but work counts: others run as well. */
static void placed_scan_some(struct placed *p)
{
	int cpu = sched_getcpu();
	uint64_t begun = placed_worked(p, cpu), spent = 0;

	if (p->machine->by_page) {
		placed_scan_spans(p, cpu);
		return;
	}
	if (!p->scanning)
		placed_begin_round(p);
	while (p->scanning && !p->gone && spent < SCAN_NS) {
		placed_scan_slice(p);
		spent = placed_worked(p, cpu) - begun;
		if (cpu != sched_getcpu())
			spent = SCAN_NS;
	}
	p->spent_ns += spent;
}

static void placed_scan(struct placed *p)
{
	uint64_t rest = max_u64(p->spent_ns * SCAN_REST, SCAN_SOON_NS);

	if (!p->scanning && p->scanned && placed_now(p) - p->scanned_ns < rest)
		return;
	placed_scan_some(p);
	p->scanned_ns = placed_now(p);
	p->scanned = true;
}

/* --- moves ---------------------------------------------------------------- */

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

/* How many actions can be carried out at once now. */
static unsigned placed_room(const struct placed *p)
{
	return p->copies ? (unsigned)min_u64(copies_ask_room(p->copies),
					     PACE_ACTIONS)
			 : PACE_ACTIONS;
}

static void placed_move(struct placed *p)
{
	struct placement_action a[PACE_ACTIONS];
	unsigned nr = trace_tap_take(&p->tap, p->engine, a, placed_room(p)),
		 end;

	if (p->copies) {
		struct copies_ask_engine e = placed_ask_engine(p);

		copies_ask_for(p->copies, &e, a, nr);
		return;
	}
	for (unsigned i = 0; i < nr; i = end) {
		for (end = i; end < nr && a[end].to == a[i].to; end++)
			;
		placed_move_to(p, a + i, end - i);
	}
}

/* --- hints ---------------------------------------------------------------- */

static uint8_t placed_node_of(const struct placed *p, uint8_t number)
{
	for (unsigned i = 0; i < p->machine->nr_nodes; i++)
		if (p->machine->numbers[i] == number)
			return (uint8_t)i;
	return ACCESS_NO_NODE;
}

/* Guest frames have a hole below 4 GiB; pages of RAM have none. */
static uint64_t placed_page_of(uint64_t frame)
{
	const uint64_t high = RAM_HIGH_START / PAGE_BYTES;

	return frame < high ? frame : frame - (high - RAM_LOW_END / PAGE_BYTES);
}

static const struct figures *placed_worker(const struct placed *p)
{
	const struct figures *f = p->worker.base;

	return f && atomic_load_explicit(&f->magic, memory_order_relaxed) ==
				       FIGURES_MAGIC
		       ? f
		       : NULL;
}

/* The worker's words, which the engine checks like those of any source. */
static void placed_read_hints(struct placed *p, uint64_t now)
{
	const struct figures *f = placed_worker(p);
	uint64_t lost = 0;
	struct hint_record h;

	if (!f)
		return;
	for (unsigned i = 0; i < HINTS_TURN; i++) {
		struct access_record r = { .time_ns = now,
					   .home = ACCESS_NO_NODE,
					   .class = ACCESS_HINT };

		if (!hint_log_take(&f->hint_log, &p->next_hint, &lost, &h))
			break;
		r.page = placed_page_of(h.page);
		r.weight = h.pages;
		r.vcpu = h.vcpu;
		r.kind = h.kind;
		r.node = placed_node_of(p, h.node);
		placement_record(p->engine, &r);
	}
	placement_count_owner(p->engine, 0, lost, 0);
}

/* --- samples -------------------------------------------------------------- */

void placed_faults_log(struct placed *p, struct faults_log *out)
{
	const struct figures *f = placed_worker(p);

	*out = (struct faults_log){ .log = f ? &f->fault_log : NULL,
				    .next = &p->next_fault,
				    .pages = p->ram_pages };
}

void placed_homes(const struct placed *p, const uint64_t *pages, unsigned nr,
		  uint8_t *out)
{
	void *at[FAULTS_BATCH];
	int status[FAULTS_BATCH];
	long ret;

	for (unsigned i = 0; i < nr; i++) {
		at[i] = (void *)(uintptr_t)ram_spans_address(
			p->spans, p->nr_spans, pages[i]);
		status[i] = -ENOENT;
	}
	/* A question: it moves nothing. */
	ret = move_pages(p->pid, nr, at, NULL, status, 0);
	for (unsigned i = 0; i < nr; i++)
		out[i] = !ret && at[i] && status[i] >= 0 &&
					 status[i] <= UINT8_MAX
				 ? placed_node_of(p, (uint8_t)status[i])
				 : ACCESS_NO_NODE;
}

bool placed_turn(struct placed *p)
{
	uint64_t begun;

	placed_read_hints(p, placed_now(p));
	if (p->copies) {
		struct copies_ask_engine e = placed_ask_engine(p);

		copies_ask_turn(p->copies, &e);
	}
	placed_scan(p);
	begun = placed_now(p);
	while (!p->gone && placed_room(p) &&
	       pace_is_due(&p->pace, placement_pending(p->engine),
			   placed_now(p)) &&
	       placed_now(p) - begun < PACE_MOVES_NS) {
		placed_move(p);
		pace_made(&p->pace);
	}
	return !p->gone;
}

bool placed_hurries(const struct placed *p)
{
	return placed_room(p) && pace_hurries(placement_pending(p->engine));
}
