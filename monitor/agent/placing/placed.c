/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The engine of a VM: it gets what a source has counted and what the guest has
 * hinted at, and its decisions go to placed_moves.c. Those of a guest with copies of
 * pages for its views go to the owner of the copies (copies_ask.h).
 */
#include "monitor/agent/placing/placed.h"

#include <errno.h>
#include <numaif.h>
#include <stdlib.h>
#include <unistd.h>

#include "memory/guest_ram.h"
#include "memory/placement/frames.h"
#include "monitor/agent/placing/placed_internal.h"
#include "monitor/ipc/fds.h"
#include "monitor/ipc/figures.h"

#define HINTS_TURN HINT_LOG_ENTRIES /* per turn */

static int placed_parse(const struct placed *p, const char *text,
			struct policy_choice *out)
{
	struct diag d = { 0 };

	/* Control has checked it; what it said is of no use here. */
	return policy_parse(text, p->machine->plugin, out, &d);
}

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
			      .vcpu_node = r->vcpu_node < m->nr_nodes
						   ? (uint8_t)r->vcpu_node
						   : ACCESS_NO_NODE,
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
	free(p->heat);
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

/* --- decisions ----------------------------------------------------------- */

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
	unsigned nr = trace_tap_take(&p->tap, p->engine, a, placed_room(p));

	if (p->copies) {
		struct copies_ask_engine e = placed_ask_engine(p);

		copies_ask_for(p->copies, &e, a, nr);
		return;
	}
	placed_move_pages(p, a, nr);
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

uint8_t placed_vcpu_node(const struct placed *p)
{
	return p->vcpu_node;
}

void placed_add_heat(struct placed *p, const struct agent_req_heat *r,
		     uint64_t *strange)
{
	if (!p->heat)
		p->heat = calloc(1, sizeof(*p->heat));
	if (!p->heat)
		return; /* no memory: as if DAMON said nothing */
	for (uint32_t i = 0; i < r->nr; i++) {
		const struct heat_region h = { r->regions[i].page,
					       r->regions[i].pages,
					       r->regions[i].accesses };

		heat_map_add(p->heat, &h, 1, p->ram_pages, strange);
	}
	if (r->period_ns)
		heat_map_end(p->heat, r->period_ns);
}

struct heat_map *placed_heat(struct placed *p)
{
	return p->heat;
}

struct idle_vm *placed_idle(struct placed *p, uint64_t *pages)
{
	*pages = p->ram_pages;
	return &p->idle;
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
