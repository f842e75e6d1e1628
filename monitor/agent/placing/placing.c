/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/agent/placing/placing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "disco/clock.h"
#include "memory/sources/source_damon.h"
#include "memory/sources/source_faults.h"
#include "memory/sources/source_flash.h"
#include "memory/sources/source_idle.h"
#include "monitor/agent/placing/pace.h"
#include "monitor/agent/placing/placed.h"
#include "monitor/ipc/fds.h"

#define LOOK_MS	     50 /* at a clock that is not this machine's */
#define RECORDS	     512u
#define READS	     16u /* of that many, per turn */
#define MAX_PLACED   1024u
#define DISTANCE_MIN 10u

struct placing {
	struct placed_machine machine;
	struct flash flash; /* closed: another source, or none */
	int idle_fd;	    /* bitmap of AGENT_SOURCE_IDLE; -1 */
	struct flash_clock clock;
	struct access_source *source;
	uint8_t node_of_cpu[AGENT_MAX_CPUS];
	struct placed *list[MAX_PLACED]; /* a record's vm is its place in it */
	unsigned nr;
	bool turned;
	uint64_t turned_ns; /* placing_now() of the last turn */
	uint64_t lost;	    /* of the source, as it was counted last */
	const struct placing_others *others; /* NULL: none */
	void *others_arg;
};

/* A lab's is that of the machine that its counters are of. */
static uint64_t placing_now(void *arg)
{
	struct placing *p = arg;

	return p->flash.base ? flash_clock_read(&p->flash, &p->clock)
			     : clock_now_ns();
}

static uint64_t placing_work(void *arg, unsigned cpu)
{
	struct placing *p = arg;

	return flash_work_ns(&p->flash, cpu);
}

int placing_create(struct placing **out)
{
	*out = calloc(1, sizeof(**out));
	if (!*out)
		return -ENOMEM;
	(*out)->idle_fd = -1;
	return 0;
}

void placing_set_plugin(struct placing *p, const struct policy *policy)
{
	p->machine.plugin = policy;
}

void placing_set_others(struct placing *p, const struct placing_others *others,
			void *arg)
{
	p->others = others;
	p->others_arg = arg;
}

const struct placed_machine *placing_machine(const struct placing *p)
{
	return &p->machine;
}

static void placing_drop_source(struct placing *p)
{
	access_destroy(p->source);
	p->source = NULL;
	p->lost = 0; /* the next one counts from 0 on */
	flash_close(&p->flash);
	fds_drop(&p->idle_fd);
}

static void placing_remove(struct placing *p, unsigned i)
{
	placed_destroy(p->list[i]);
	p->list[i] = p->list[--p->nr];
}

void placing_destroy(struct placing *p)
{
	if (!p)
		return;
	while (p->nr)
		placing_remove(p, 0);
	placing_drop_source(p);
	free(p);
}

static bool placing_find_frame(void *arg, uint64_t frame, uint32_t *vm,
			       uint64_t *page)
{
	struct placing *p = arg;

	for (unsigned i = 0; i < p->nr; i++)
		if (placed_find(p->list[i], frame, page)) {
			*vm = i;
			return true;
		}
	if (!p->others || !p->others->find(p->others_arg, frame, vm, page))
		return false;
	*vm += MAX_PLACED;
	return true;
}

/* Samples by page are of VMs' own memory alone. */
static bool placing_any(const struct placing *p)
{
	return p->nr || (!p->machine.by_page && p->others &&
			 p->others->any(p->others_arg));
}

static void placing_catch_up(void *arg);

/* --- control -------------------------------------------------------------- */

static void placing_open_flash(struct placing *p, int fd)
{
	struct flash_source_config c = { .flash = &p->flash,
					 .clock = &p->clock,
					 .find = placing_find_frame,
					 .arg = p };

	if (fd < 0 || flash_attach(&p->flash, fd))
		return;
	for (unsigned i = 0; i < FLASH_MAX_NODES; i++)
		c.index_of[i] = ACCESS_NO_NODE;
	for (unsigned i = 0; i < p->machine.nr_nodes; i++)
		if ((uint32_t)p->machine.numbers[i] < FLASH_MAX_NODES)
			c.index_of[p->machine.numbers[i]] = (uint8_t)i;
	if (flash_source_create(&p->source, &c))
		flash_close(&p->flash);
}

static unsigned placing_nr_vms(void *arg)
{
	const struct placing *p = arg;

	return p->nr;
}

static void placing_log_of(void *arg, unsigned vm, struct faults_log *out)
{
	const struct placing *p = arg;

	placed_faults_log(p->list[vm], out);
}

static uint8_t placing_node_of(void *arg, unsigned cpu)
{
	const struct placing *p = arg;

	return cpu < AGENT_MAX_CPUS ? p->node_of_cpu[cpu] : ACCESS_NO_NODE;
}

static void placing_homes_of(void *arg, unsigned vm, const uint64_t *pages,
			     unsigned nr, uint8_t *out)
{
	const struct placing *p = arg;

	placed_homes(p->list[vm], pages, nr, out);
}

static uint8_t placing_node_of_vm(void *arg, unsigned vm)
{
	const struct placing *p = arg;

	return placed_vcpu_node(p->list[vm]);
}

static struct heat_map *placing_heat_of(void *arg, unsigned vm)
{
	const struct placing *p = arg;

	return placed_heat(p->list[vm]);
}

static struct idle_vm *placing_looks_of(void *arg, unsigned vm, uint64_t *pages)
{
	const struct placing *p = arg;

	return placed_idle(p->list[vm], pages);
}

static void placing_frames_of(void *arg, unsigned vm, const uint64_t *pages,
			      unsigned nr, uint64_t *out)
{
	const struct placing *p = arg;

	placed_frames(p->list[vm], pages, nr, out);
}

static void placing_open_damon(struct placing *p)
{
	const struct damon_source_config c = { .nr_vms = placing_nr_vms,
					       .heat_of = placing_heat_of,
					       .node_of_vm = placing_node_of_vm,
					       .homes_of = placing_homes_of,
					       .now_ns = placing_now,
					       .arg = p };

	/* No memory: nothing is placed. */
	(void)!damon_source_create(&p->source, &c);
}

/* @fd: a duplicate of it is kept. */
static void placing_open_idle(struct placing *p,
			      const struct agent_req_machine *r, int *fd)
{
	const struct idle_source_config c = { .nr_vms = placing_nr_vms,
					      .looks_of = placing_looks_of,
					      .frames_of = placing_frames_of,
					      .node_of_vm = placing_node_of_vm,
					      .homes_of = placing_homes_of,
					      .now_ns = placing_now,
					      .arg = p,
					      .fd = *fd,
					      .rate = r->rate,
					      .share = r->share };

	if (*fd < 0 || idle_source_create(&p->source, &c))
		return;
	p->idle_fd = *fd;
	*fd = -1;
}

static void placing_open_faults(struct placing *p, bool writes)
{
	const struct faults_source_config c = {
		.nr_vms = placing_nr_vms,
		.log_of = placing_log_of,
		.node_of = placing_node_of,
		.homes_of = placing_homes_of,
		.now_ns = placing_now,
		.writes_of = writes ? placing_node_of_vm : NULL,
		.arg = p
	};

	/* No memory: nothing is placed. */
	(void)!faults_source_create(&p->source, &c);
}

/* @fd: of the request; -1 afterwards, if the source keeps it. */
static void placing_open_source(struct placing *p,
				const struct agent_req_machine *r, int *fd)
{
	switch ((enum agent_source)r->source) {
	case AGENT_SOURCE_FLASH:
		placing_open_flash(p, *fd);
		break;
	case AGENT_SOURCE_FAULTS:
	case AGENT_SOURCE_DIRTY:
		placing_open_faults(p, r->source == AGENT_SOURCE_DIRTY);
		break;
	case AGENT_SOURCE_DAMON:
		placing_open_damon(p);
		break;
	case AGENT_SOURCE_IDLE:
		placing_open_idle(p, r, fd);
		break;
	}
}

/* Engines have the nodes of when they were made: those that are there end. */
static void placing_take_machine(struct placing *p,
				 const struct agent_req_machine *r, int *fd)
{
	struct placed_machine *m = &p->machine;

	while (p->nr)
		placing_remove(p, 0);
	*m = (struct placed_machine){ .nr_nodes = r->nr_nodes,
				      .now_ns = placing_now,
				      .arg = p,
				      .plugin = m->plugin };
	for (unsigned i = 0; i < m->nr_nodes; i++) {
		m->numbers[i] = r->nodes[i];
		m->nodes[i] = (struct policy_node){ .free_pages = UINT64_MAX,
						    .has_memory = 1 };
		for (unsigned j = 0; j < m->nr_nodes; j++)
			m->latency_ns[i * m->nr_nodes + j] =
				PLACEMENT_NS_PER_DISTANCE *
				(uint32_t)max_u64(r->distance[i][j],
						  DISTANCE_MIN);
	}
	placing_drop_source(p);
	memcpy(p->node_of_cpu, r->node_of_cpu, sizeof(p->node_of_cpu));
	m->by_page = r->source != AGENT_SOURCE_FLASH;
	placing_open_source(p, r, fd);
	if (p->flash.base) {
		m->work_ns = placing_work;
		m->catch_up = placing_catch_up;
	}
}

static void placing_take_nodes(struct placing *p,
			       const struct agent_req_nodes *r)
{
	for (unsigned i = 0; i < r->nr_nodes && i < p->machine.nr_nodes; i++)
		p->machine.nodes[i].free_pages = r->free_pages[i];
	for (unsigned i = 0; i < p->nr; i++)
		placed_nodes_changed(p->list[i]);
}

/* Its place in the list; nr: it is not there. */
static unsigned placing_place_of(const struct placing *p, uint64_t vm)
{
	unsigned i = 0;

	while (i < p->nr && placed_vm(p->list[i]) != vm)
		i++;
	return i;
}

static void placing_end(struct placing *p, uint64_t vm)
{
	unsigned i = placing_place_of(p, vm);

	if (i < p->nr)
		placing_remove(p, i);
}

static void placing_add(struct placing *p, const struct agent_req_place *r,
			const int *fds)
{
	placing_end(p, r->vm);
	if (fds[0] < 0 || p->nr == MAX_PLACED) {
		fds_close(fds, FDS_MAX);
		return;
	}
	if (placed_create(r, &p->machine, fds, &p->list[p->nr]) == 0)
		p->nr++;
}

/* Owns @fd. One whose engine cannot begin anew is placed no longer. */
static void placing_trace(struct placing *p, uint64_t vm, int fd)
{
	unsigned i = placing_place_of(p, vm);

	if (i == p->nr)
		fds_drop(&fd);
	else if (fd >= 0 && placed_trace(p->list[i], fd) == -ENOMEM)
		placing_remove(p, i);
}

static void placing_add_heat(struct placing *p, const struct agent_req_heat *r)
{
	unsigned i = placing_place_of(p, r->vm);

	if (i < p->nr && p->source)
		placed_add_heat(p->list[i], r, &p->source->strange);
}

void placing_obey(struct placing *p, const struct agent_request *r,
		  const int *fds)
{
	int fd = fds[0];
	unsigned i;

	switch ((enum agent_request_kind)r->kind) {
	case AGENT_MACHINE:
		placing_take_machine(p, &r->machine, &fd);
		fds_drop(&fd);
		fds_close(fds + 1, FDS_MAX - 1);
		break;
	case AGENT_HEAT:
		placing_add_heat(p, &r->heat);
		break;
	case AGENT_NODES:
		placing_take_nodes(p, &r->nodes);
		break;
	case AGENT_PLACE:
		placing_add(p, &r->place, fds);
		break;
	case AGENT_POLICY:
		i = placing_place_of(p, r->policy.vm);
		if (i < p->nr &&
		    placed_set_policy(p->list[i], r->policy.policy))
			placing_remove(p, i);
		break;
	case AGENT_PLACE_END:
		placing_end(p, r->place_end.vm);
		break;
	case AGENT_TRACE:
		placing_trace(p, r->trace.vm, fds[0]);
		break;
	case AGENT_COPIES:
		i = placing_place_of(p, r->copies.vm);
		/* Its descriptors, if they did not come, are all -1. */
		if (i < p->nr && fds[0] >= 0)
			placed_link_copies(p->list[i], fds);
		else
			fds_close(fds, FDS_MAX);
		break;
	case AGENT_TRACE_END:
		i = placing_place_of(p, r->trace.vm);
		if (i < p->nr)
			placed_trace_end(p->list[i]);
		break;
	default:
		break;
	}
}

/* --- turns ---------------------------------------------------------------- */

int placing_wait_ms(struct placing *p)
{
	uint64_t due = p->turned_ns + PACE_TURN_NS, now;

	if (!placing_any(p) || !p->source)
		return -1;
	for (unsigned i = 0; i < p->nr; i++)
		if (placed_hurries(p->list[i]))
			return 0;
	now = placing_now(p);
	if (!p->turned || now >= due)
		return 0;
	return p->flash.base ? LOOK_MS : (int)((due - now) / 1000000 + 1);
}

/* Some of what there is. Return: whether there may be more. */
static bool placing_read_some(struct placing *p)
{
	static struct access_record records[RECORDS];
	int nr = access_read(p->source, records, RECORDS);

	if (nr < 0) {
		placing_drop_source(p);
		return false;
	}
	for (int i = 0; i < nr; i++)
		if (records[i].vm < p->nr)
			placed_record(p->list[records[i].vm], &records[i]);
		else if (p->others && records[i].vm >= MAX_PLACED)
			p->others->record(p->others_arg,
					  records[i].vm - MAX_PLACED,
					  &records[i]);
	return nr == (int)RECORDS;
}

/* What is left waits for the next turn, which is soon. */
static void placing_read(struct placing *p)
{
	for (unsigned i = 0; i < READS && placing_read_some(p); i++)
		;
}

/* In the middle of a turn: within the move of some pages. */
static void placing_catch_up(void *arg)
{
	struct placing *p = arg;

	if (p->source)
		placing_read(p);
}

void placing_turn(struct placing *p)
{
	uint64_t cpu_ns, lost;

	if (placing_wait_ms(p) != 0)
		return;
	cpu_ns = clock_thread_ns();
	placing_read(p);
	for (unsigned i = p->nr; i-- > 0;)
		if (!placed_turn(p->list[i]))
			placing_remove(p, i);
	p->turned_ns = placing_now(p);
	p->turned = true;
	if (!p->nr || !p->source)
		return;
	/* Each of them has its share. */
	cpu_ns = (clock_thread_ns() - cpu_ns) / p->nr;
	lost = p->source->lost - p->lost;
	p->lost = p->source->lost;
	for (unsigned i = 0; i < p->nr; i++)
		placed_count(p->list[i], cpu_ns, lost);
}
