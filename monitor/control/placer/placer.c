/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/placer/placer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disco/clock.h"
#include "memory/placement/plugin.h"
#include "memory/replica/copies_link.h"
#include "monitor/control/base/sink.h"
#include "monitor/control/placer/access_choice.h"
#include "monitor/control/placer/heat_reader.h"
#include "monitor/control/workers/worker_file.h"
#include "monitor/ipc/fds.h"
#include "numa/flash.h"
#include "numa/region.h"

/* A VM that is placed. */
struct placer_entry {
	struct placer_entry *next;
	struct placer_vm vm; /* its name is not used after the call */
	struct region_view figures;
	struct region_view ring; /* of a recording; empty: there is none */
	uint64_t trace;		 /* its number */
	uint64_t trace_read_ns;
};

struct placer {
	struct loop *loop;
	struct agents *agents;
	struct topology *t;
	struct sink *err;
	struct access_choice choice;
	struct heat_reader *heat;    /* of AGENT_SOURCE_DAMON; NULL */
	int plugin_fd;		     /* -1: none */
	struct policy_plugin plugin; /* to check what users choose */
	struct placer_entry *list;
	struct loop_timer timer; /* while a VM is placed */
	uint64_t traces;	 /* recordings so far */
};

static bool placer_has_source(const struct placer *p)
{
	return p && p->choice.fd >= 0;
}

static bool placer_is_by(const struct placer *p, enum agent_source source)
{
	return placer_has_source(p) && p->choice.source == source;
}

/* --- what agents are told ------------------------------------------------- */

static uint32_t placer_nr_nodes(const struct placer *p)
{
	return (uint32_t)min_u64(p->t->nr_nodes, MAX_NODES);
}

/* CPUs beyond what a message has room for are of no node. */
static void placer_add_cpus(const struct placer *p, struct agent_req_machine *m)
{
	memset(m->node_of_cpu, AGENT_NO_NODE, sizeof(m->node_of_cpu));
	for (uint32_t i = 0; i < m->nr_nodes; i++)
		for (unsigned j = 0; j < p->t->nodes[i].nr_cpus; j++)
			if (p->t->nodes[i].cpus[j] < AGENT_MAX_CPUS)
				m->node_of_cpu[p->t->nodes[i].cpus[j]] =
					(uint8_t)i;
}

static int placer_tell_machine(struct placer *p, struct agent *a)
{
	struct agent_request *r = calloc(1, sizeof(*r));
	uint32_t nr = placer_nr_nodes(p);
	int err;

	if (!r)
		return -ENOMEM;
	r->kind = AGENT_MACHINE;
	r->machine.nr_nodes = nr;
	for (uint32_t i = 0; i < nr; i++) {
		r->machine.nodes[i] = p->t->nodes[i].id;
		for (uint32_t j = 0; j < nr; j++)
			r->machine.distance[i][j] = (uint8_t)min_u64(
				p->t->distance[i][j], UINT8_MAX);
	}
	r->machine.source = p->choice.source;
	r->machine.rate = p->choice.sample.rate;
	r->machine.share = p->choice.sample.share;
	placer_add_cpus(p, &r->machine);
	err = agent_ask(a, r, &p->choice.fd);
	free(r);
	return err;
}

static void placer_tell_nodes(struct placer *p)
{
	struct agent_request r = { .kind = AGENT_NODES };

	topology_refresh_free(p->t);
	r.nodes.nr_nodes = placer_nr_nodes(p);
	for (uint32_t i = 0; i < r.nodes.nr_nodes; i++)
		r.nodes.free_pages[i] =
			topology_room(&p->t->nodes[i]) / PAGE_BYTES;
	for (unsigned i = 0; i < p->agents->nr; i++) {
		struct agent *a = &p->agents->list[i];

		/* One that is dead hears it when it is there again. */
		if (a->pid)
			(void)!agent_ask(a, &r, NULL);
	}
}

static int placer_open_proc(pid_t pid, const char *name)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* A region: the agent's end, and @view, the one that is read here. */
static int placer_make_region(const struct placer_entry *e, const char *name,
			      size_t bytes, struct region_view *view, int *rw)
{
	int ro, err = region_prepare_pair(name, bytes, e->vm.node, rw, &ro);

	if (err)
		return err;
	region_detach(view);
	err = region_attach(view, ro, bytes);
	(void)close(ro);
	if (err)
		fds_drop(rw);
	return err;
}

/* The nodes of a VM as bits by index; 0: any. */
static uint64_t placer_nodes(const struct placer *p, const struct node_list *l)
{
	uint64_t bits = 0;

	for (uint32_t i = 0; i < placer_nr_nodes(p); i++)
		if (node_list_has(l, p->t->nodes[i].id))
			bits |= 1ull << i;
	return bits;
}

/* Index of the node that all vCPUs of a VM are on; AGENT_NO_NODE. */
static uint8_t placer_vcpu_node(const struct placer *p,
				const struct placer_entry *e)
{
	uint8_t found = AGENT_NO_NODE;

	for (uint32_t i = 0; i < placer_nr_nodes(p); i++) {
		nodeid_t node = p->t->nodes[i].id;
		bool here = e->vm.nodes.nr ? node_list_has(&e->vm.nodes, node)
					   : node == e->vm.node;

		if (here && found != AGENT_NO_NODE)
			return AGENT_NO_NODE;
		if (here)
			found = (uint8_t)i;
	}
	return found;
}

static int placer_tell_place(const struct placer *p, struct placer_entry *e,
			     struct agent *a)
{
	struct agent_request r = { .kind = AGENT_PLACE };
	int fds[4] = { -1, -1, -1, -1 }, err;
	struct stat st;

	r.place = (struct agent_req_place){
		.vm = e->vm.id,
		.ram_pages = e->vm.memory_bytes / PAGE_BYTES,
		.bound_ns = e->vm.bound_ns,
		.pid = e->vm.pid,
		.nodes = placer_nodes(p, &e->vm.nodes),
		.vcpu_node = placer_vcpu_node(p, e),
	};
	memcpy(r.place.policy, e->vm.policy, sizeof(r.place.policy));
	fds[0] = placer_open_proc(e->vm.pid, "pagemap");
	fds[1] = fds[0] < 0 ? fds[0] : placer_open_proc(e->vm.pid, "maps");
	fds[3] = fds[1] < 0
			 ? fds[1]
			 : worker_file_open(e->vm.pid, WORKER_FD_FIGURES, &st);
	err = fds[3] < 0 ? fds[3]
			 : placer_make_region(e, "disco-placement",
					      PLACEMENT_BYTES, &e->figures,
					      &fds[2]);
	if (!err)
		err = agent_ask(a, &r, fds);
	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0)
			(void)close(fds[i]);
	return err;
}

/* --- copies for views ----------------------------------------------------- */

/* Both ends, in the order of the messages. */
struct copies_ends {
	int agent[COPIES_LINK_FDS], worker[COPIES_LINK_FDS];
};

static void copies_ends_close(struct copies_ends *e)
{
	for (unsigned i = 0; i < COPIES_LINK_FDS; i++) {
		fds_drop(&e->agent[i]);
		fds_drop(&e->worker[i]);
	}
}

static int copies_ends_make(struct copies_ends *e, nodeid_t node)
{
	static const char name[] = "disco-copies-link";
	int err;

	memset(e, -1, sizeof(*e));
	err = region_prepare_pair(name, COPIES_LINK_BYTES, node,
				  &e->agent[COPIES_LINK_OWN],
				  &e->worker[COPIES_LINK_PEER]);
	if (!err)
		err = region_prepare_pair(name, COPIES_LINK_BYTES, node,
					  &e->worker[COPIES_LINK_OWN],
					  &e->agent[COPIES_LINK_PEER]);
	if (!err)
		err = chan_wake_create(&e->agent[COPIES_LINK_WAKE],
				       &e->worker[COPIES_LINK_WAKE]);
	if (err)
		copies_ends_close(e);
	return err;
}

/* After AGENT_PLACE. Without a link its worker's scan decides. */
static int placer_link_copies(const struct placer *p,
			      const struct placer_entry *e, struct agent *a)
{
	struct agent_request to_agent = { .kind = AGENT_COPIES,
					  .copies.vm = e->vm.id };
	struct worker_request to_worker = { .kind = WORKER_REQ_COPIES };
	struct copies_ends ends;
	int err;

	if (!e->vm.copies || !placer_is_by(p, AGENT_SOURCE_FLASH))
		return 0;
	err = copies_ends_make(&ends, e->vm.node);
	if (err)
		return err;
	err = agent_ask(a, &to_agent, ends.agent);
	if (!err)
		err = vm_watch_send(e->vm.copies, &to_worker, ends.worker);
	copies_ends_close(&ends);
	return err;
}

/* Copies of pages for views are mapped elsewhere: DAMON would not see them. */
static void placer_order_heat(struct placer *p, const struct placer_entry *e,
			      bool on)
{
	if (p->heat && !e->vm.copies)
		heat_reader_order(p->heat, e->vm.id, on ? e->vm.pid : 0,
				  e->vm.memory_bytes);
}

static void placer_place(struct placer *p, struct placer_entry *e)
{
	struct agent *a = agents_running(p->agents, e->vm.node);
	/* Without one: as soon as it has started. */
	int err = a ? placer_tell_place(p, e, a) : 0;

	if (a && !err)
		err = placer_link_copies(p, e, a);
	/* What was recorded is another engine's. */
	region_detach(&e->ring);

	/* A worker that has ended meanwhile is reported elsewhere. */
	if (err && err != -ENOENT && err != -ESRCH && err != -EPIPE)
		sink_line(p->err, "disco: %s: its pages are not placed: %s",
			  e->vm.name ? e->vm.name : "a VM", strerror(-err));
}

void placer_agent_started(struct placer *p, struct agent *a)
{
	int err;

	if (!placer_has_source(p))
		return;
	err = placer_tell_machine(p, a);
	if (err) {
		sink_line(p->err,
			  "disco: the agent of node %d places no pages: %s",
			  a->node, strerror(-err));
		return;
	}
	for (struct placer_entry *e = p->list; e; e = e->next)
		if (e->vm.node == a->node)
			placer_place(p, e);
}

/* --- the list ------------------------------------------------------------- */

static struct placer_entry **placer_find(struct placer *p, uint64_t id)
{
	struct placer_entry **at = &p->list;

	while (*at && (*at)->vm.id != id)
		at = &(*at)->next;
	return at;
}

/* --- recordings ----------------------------------------------------------- */

static void placer_stop_trace(struct placer *p, struct placer_entry *e)
{
	struct agent_request r = { .kind = AGENT_TRACE_END,
				   .trace.vm = e->vm.id };

	if (!e->ring.base)
		return;
	(void)!agents_tell(p->agents, e->vm.node, &r, NULL);
	region_detach(&e->ring);
}

static void placer_end_old_traces(struct placer *p)
{
	uint64_t now = clock_now_ns();

	for (struct placer_entry *e = p->list; e; e = e->next)
		if (e->ring.base && now - e->trace_read_ns > PLACER_TRACE_NS)
			placer_stop_trace(p, e);
}

int placer_trace_begin(struct placer *p, uint64_t id, uint64_t *trace)
{
	struct agent_request r = { .kind = AGENT_TRACE, .trace.vm = id };
	struct placer_entry **at = p ? placer_find(p, id) : NULL, *e;
	int fd, err;

	if (!at || !*at)
		return -ENOENT;
	e = *at;
	if (e->ring.base)
		return -EBUSY;
	err = placer_make_region(e, "disco-trace", TRACE_RING_BYTES, &e->ring,
				 &fd);
	if (err)
		return err;
	err = agents_tell(p->agents, e->vm.node, &r, &fd);
	(void)close(fd);
	if (err) {
		region_detach(&e->ring);
		return -ESRCH;
	}
	e->trace_read_ns = clock_now_ns();
	*trace = e->trace = ++p->traces;
	return 0;
}

const struct trace_ring *placer_trace_ring(struct placer *p, uint64_t id,
					   uint64_t trace)
{
	struct placer_entry **at = p ? placer_find(p, id) : NULL;

	if (!at || !*at || !(*at)->ring.base || (*at)->trace != trace)
		return NULL;
	(*at)->trace_read_ns = clock_now_ns();
	return (*at)->ring.base;
}

void placer_trace_end(struct placer *p, uint64_t id, uint64_t trace)
{
	struct placer_entry **at = p ? placer_find(p, id) : NULL;

	if (at && *at && (*at)->trace == trace)
		placer_stop_trace(p, *at);
}

/* --- the timer ------------------------------------------------------------ */

static void placer_on_timer(struct loop_timer *t)
{
	struct placer *p = container_of(t, struct placer, timer);

	if (!p->list)
		return;
	placer_tell_nodes(p);
	placer_end_old_traces(p);
	loop_timer_set(p->loop, t, clock_now_ns() + PLACER_NODES_NS);
}

void placer_start(struct placer *p, const struct placer_vm *vm)
{
	struct placer_entry *e;

	if (!placer_has_source(p))
		return;
	placer_stop(p, vm->id);
	e = calloc(1, sizeof(*e));
	if (!e) {
		sink_line(p->err, "disco: %s: its pages are not placed: %s",
			  vm->name, strerror(ENOMEM));
		return;
	}
	e->vm = *vm;
	if (!e->vm.policy[0])
		(void)strcpy(e->vm.policy, POLICY_STANDARD);
	if (!p->list)
		loop_timer_set(p->loop, &p->timer, clock_now_ns());
	e->next = p->list;
	p->list = e;
	placer_place(p, e);
	placer_order_heat(p, e, true);
	e->vm.name = NULL;
}

void placer_stop(struct placer *p, uint64_t id)
{
	struct placer_entry **at = p ? placer_find(p, id) : NULL, *e;
	struct agent_request r = { .kind = AGENT_PLACE_END,
				   .place_end.vm = id };

	if (!at || !*at)
		return;
	e = *at;
	*at = e->next;
	placer_order_heat(p, e, false);
	/* An agent that is not told finds it gone, or has died. */
	(void)!agents_tell(p->agents, e->vm.node, &r, NULL);
	region_detach(&e->figures);
	region_detach(&e->ring);
	free(e);
}

int placer_set_policy(struct placer *p, uint64_t id, const char *policy)
{
	struct placer_entry **at = p ? placer_find(p, id) : NULL;
	struct agent_request r = { .kind = AGENT_POLICY, .policy.vm = id };

	if (!at || !*at)
		return -ENOENT;
	(void)snprintf((*at)->vm.policy, sizeof((*at)->vm.policy), "%s",
		       policy);
	memcpy(r.policy.policy, (*at)->vm.policy, sizeof(r.policy.policy));
	return agents_tell(p->agents, (*at)->vm.node, &r, NULL);
}

bool placer_look(const struct placer *p, uint64_t id, struct placer_view *out)
{
	const struct placer_entry *e = p ? p->list : NULL;

	while (e && e->vm.id != id)
		e = e->next;
	if (!e || !e->figures.base)
		return false;
	*out = (struct placer_view){ .policy = e->vm.policy,
				     .figures = e->figures.base };
	return true;
}

const char *placer_source(const struct placer *p)
{
	return p ? access_choice_name(&p->choice) : NULL;
}

bool placer_sampling(const struct placer *p, struct worker_req_sample *out)
{
	if (!placer_has_source(p) || p->choice.sample.how == WORKER_SAMPLE_NONE)
		return false;
	*out = p->choice.sample;
	return true;
}

/* --- the source ----------------------------------------------------------- */

static void placer_on_heat(void *arg, const struct agent_req_heat *heat)
{
	struct placer *p = arg;
	struct placer_entry **at = placer_find(p, heat->vm);
	struct agent_request r = { .kind = AGENT_HEAT, .heat = *heat };

	if (*at)
		(void)!agents_tell(p->agents, (*at)->vm.node, &r, NULL);
}

static void placer_on_heat_failed(void *arg, const char *text)
{
	struct placer *p = arg;

	sink_line(p->err, "disco: %s", text);
}

/* A snapshot has DAMON_SAMPLES looks at each region: the rate is of looks. */
static int placer_read_heat(struct placer *p, struct diag *d)
{
	const struct heat_reader_config c = {
		.root = DAMON_ROOT,
		.limits = { .regions = PLACER_DAMON_REGIONS,
			    .sample_us = 1000000u * PLACER_DAMON_REGIONS /
					 p->choice.sample.rate },
		.share = p->choice.sample.share,
		.heat = placer_on_heat,
		.failed = placer_on_heat_failed,
		.arg = p,
	};
	int err = heat_reader_create(&p->heat, p->loop, &c);

	return err ? diag_fail(d, ST_HOST, -err, "reader of DAMON: %s",
			       strerror(-err))
		   : 0;
}

int placer_choose_source(struct placer *p, const char *name, struct diag *d)
{
	int err = access_choose(&p->choice, name, d);

	if (err)
		return err;
	return placer_is_by(p, AGENT_SOURCE_DAMON) ? placer_read_heat(p, d) : 0;
}

int placer_load_plugin(struct placer *p, const char *path, struct diag *d)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err;

	if (fd < 0)
		return diag_fail(d, ST_CONFIG, errno, "%s: %s", path,
				 strerror(errno));
	err = policy_plugin_load(&p->plugin, fd, path, d);
	if (!err && policy_find(p->plugin.policy->name))
		err = diag_fail(d, ST_CONFIG, EEXIST,
				"%s: a policy called '%s' is built in", path,
				p->plugin.policy->name);
	if (err)
		(void)close(fd);
	else
		p->plugin_fd = fd;
	return err;
}

int placer_plugin_fd(const struct placer *p)
{
	return p->plugin_fd;
}

int placer_parse(const struct placer *p, const char *text,
		 struct policy_choice *out, struct diag *d)
{
	return policy_parse(text, p->plugin.policy, out, d);
}

int placer_create(struct loop *loop, struct agents *agents, struct topology *t,
		  struct sink *err, struct placer **out)
{
	struct placer *p = calloc(1, sizeof(*p));
	unsigned left = 0;

	if (!p)
		return -ENOMEM;
	*p = (struct placer){ .loop = loop,
			      .agents = agents,
			      .t = t,
			      .err = err,
			      .plugin_fd = -1,
			      .timer = { .expired = placer_on_timer } };
	if (t->this_machine)
		left = damon_tidy(DAMON_ROOT);
	if (left)
		sink_line(err,
			  "disco: %u kdamonds were removed that a killed "
			  "monitor had left",
			  left);
	access_choice_init(&p->choice, t->this_machine ? flash_open_fd() : -1);
	*out = p;
	return 0;
}

void placer_destroy(struct placer *p)
{
	if (!p)
		return;
	loop_timer_cancel(p->loop, &p->timer);
	while (p->list) {
		struct placer_entry *e = p->list;

		p->list = e->next;
		region_detach(&e->figures);
		region_detach(&e->ring);
		free(e);
	}
	heat_reader_destroy(p->heat);
	fds_drop(&p->choice.fd);
	fds_drop(&p->plugin_fd);
	policy_plugin_unload(&p->plugin);
	free(p);
}
