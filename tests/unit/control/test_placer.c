/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What control tells agents of the VMs that are placed. The agents and the
 * source are fakes, which stand in for the product's functions: requests are
 * noted, with the descriptors that came with them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory/replica/copies_link.h"
#include "memory/sampling/damon.h"
#include "memory/sampling/dirty_log.h"
#include "memory/sampling/page_idle.h"
#include "memory/sampling/page_traps.h"
#include "monitor/control/base/sink.h"
#include "monitor/control/placer/access_choice.h"
#include "monitor/control/placer/heat_reader.h"
#include "monitor/control/placer/placer.h"
#include "monitor/control/workers/worker_file.h"
#include "numa/bind.h"
#include "numa/flash.h"
#include "numa/region.h"
#include "tests/unit/support.h"

#define MAX_TOLD 32u

/* --- fakes ---------------------------------------------------------------- */

static struct {
	nodeid_t node;
	struct agent_request r;
	int region; /* of AGENT_PLACE; -1 */
} told[MAX_TOLD];
static unsigned nr_told;
static bool has_source, agent_refuses;
static struct agents agents;

int flash_open_fd(void)
{
	return has_source ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -ENOENT;
}

/* Node 4 is not there. */
int node_bind_memory(void *addr, size_t bytes, nodeid_t node, bool strict)
{
	(void)addr;
	(void)bytes;
	(void)node;
	(void)strict;
	return 0;
}

/* This process is no worker: any memory stands for its figures. */
int worker_file_open(pid_t pid, enum worker_fd number, struct stat *st)
{
	int fd = memfd_create("figures", MFD_CLOEXEC);

	assert_int_equal(pid, getpid());
	assert_int_equal(number, WORKER_FD_FIGURES);
	return fstat(fd, st) < 0 ? -errno : fd;
}

static bool is_name_of(int fd, const char *end)
{
	char path[64], name[256];
	ssize_t len;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	len = readlink(path, name, sizeof(name) - 1);
	if (len < 0)
		return false;
	name[len] = '\0';
	return strlen(name) >= strlen(end) &&
	       strcmp(name + strlen(name) - strlen(end), end) == 0;
}

static int decider[COPIES_LINK_FDS]; /* of AGENT_COPIES */

int agent_ask(struct agent *a, struct agent_request *r, const int *fds)
{
	if (agent_refuses)
		return -EMFILE;
	assert_true(nr_told < MAX_TOLD);
	told[nr_told].node = a->node;
	told[nr_told].region = -1;
	if (r->kind == AGENT_MACHINE)
		assert_true(is_name_of(fds[0], "/dev/null"));
	if (r->kind == AGENT_PLACE) {
		assert_true(is_name_of(fds[0], "/pagemap"));
		assert_true(is_name_of(fds[1], "/maps"));
		assert_true(is_name_of(fds[3], "/memfd:figures (deleted)"));
		told[nr_told].region = dup(fds[2]);
	}
	if (r->kind == AGENT_COPIES)
		for (unsigned i = 0; i < COPIES_LINK_FDS; i++)
			decider[i] = dup(fds[i]);
	told[nr_told++].r = *r;
	return 0;
}

static struct vm_watch worker;
static unsigned nr_linked;	   /* WORKER_REQ_COPIES */
static int worker_err;		   /* of the next request */
static int owner[COPIES_LINK_FDS]; /* of the last one */

int vm_watch_send(struct vm_watch *vm, struct worker_request *r, const int *fds)
{
	assert_ptr_equal(vm, &worker);
	assert_int_equal(r->kind, WORKER_REQ_COPIES);
	nr_linked++;
	for (unsigned i = 0; i < COPIES_LINK_FDS; i++)
		owner[i] = worker_err ? -1 : dup(fds[i]);
	return worker_err;
}

struct agent *agents_running(struct agents *all, nodeid_t node)
{
	for (unsigned i = 0; i < all->nr; i++)
		if (all->list[i].node == node && all->list[i].pid)
			return &all->list[i];
	return NULL;
}

int agents_tell(struct agents *all, nodeid_t node, struct agent_request *r,
		const int *fds)
{
	struct agent *a = agents_running(all, node);

	return a ? agent_ask(a, r, fds) : 0;
}

/* --- a monitor with two nodes ---------------------------------------------- */

static struct loop loop;
static struct sink sink;
static struct topology topology;
static struct placer *placer;

static int begin(void **state)
{
	(void)state;
	nr_told = 0;
	agent_refuses = false;
	nr_linked = 0;
	worker_err = 0;
	agents = (struct agents){ .nr = 2 };
	topology = (struct topology){ .nr_nodes = 2, .this_machine = true };
	for (unsigned i = 0; i < 2; i++) {
		agents.list[i] =
			(struct agent){ .node = (nodeid_t)(4 * i), .pid = 1 };
		topology.nodes[i].id = (nodeid_t)(4 * i);
		topology.nodes[i].total_bytes = GIB(1);
		topology.distance[i][i] = 10;
		topology.distance[i][1 - i] = 300;
	}
	if (loop_create(&loop))
		return -1;
	sink_create(&sink, &loop, STDERR_FILENO);
	return placer_create(&loop, &agents, &topology, &sink, &placer);
}

static int begin_with_source(void **state)
{
	has_source = true;
	return begin(state);
}

static int begin_without(void **state)
{
	has_source = false;
	return begin(state);
}

static int end(void **state)
{
	(void)state;
	placer_destroy(placer);
	sink_destroy(&sink);
	loop_destroy(&loop);
	for (unsigned i = 0; i < nr_told; i++)
		if (told[i].region >= 0)
			(void)close(told[i].region);
	return 0;
}

static void start(uint64_t id, nodeid_t node, const char *policy)
{
	struct placer_vm vm = { .id = id,
				.name = "vm",
				.pid = getpid(),
				.node = node,
				.memory_bytes = MIB(64),
				.bound_ns = 20000000 };

	(void)strcpy(vm.policy, policy);
	placer_start(placer, &vm);
}

/* --- tests ---------------------------------------------------------------- */

static void nothing_is_told_without_a_source(void **state)
{
	struct placer_view v;

	(void)state;
	assert_null(placer_source(placer));
	placer_agent_started(placer, &agents.list[0]);
	start(1, 0, "");
	placer_stop(placer, 1);
	assert_int_equal(placer_set_policy(placer, 1, "disco"), -ENOENT);
	assert_false(placer_look(placer, 1, &v));
	assert_int_equal(nr_told, 0);
}

static void the_machine_and_its_vms_are_told(void **state)
{
	const struct agent_req_machine *m = &told[0].r.machine;

	(void)state;
	assert_string_equal(placer_source(placer), "flash");
	start(1, 0, "disco,trigger=9");
	assert_int_equal(nr_told, 1);
	assert_int_equal(told[0].r.kind, AGENT_PLACE);
	assert_int_equal(told[0].r.place.vm, 1);
	assert_int_equal(told[0].r.place.pid, getpid());
	assert_int_equal(told[0].r.place.ram_pages, MIB(64) / PAGE_BYTES);
	assert_int_equal(told[0].r.place.bound_ns, 20000000);
	assert_string_equal(told[0].r.place.policy, "disco,trigger=9");
	/* A new agent of its node gets it again, one of another does not. */
	nr_told = 0;
	placer_agent_started(placer, &agents.list[1]);
	assert_int_equal(nr_told, 1);
	assert_int_equal(told[0].r.kind, AGENT_MACHINE);
	assert_int_equal(m->nr_nodes, 2);
	assert_int_equal(m->nodes[1], 4);
	assert_int_equal(m->distance[0][0], 10);
	assert_int_equal(m->distance[0][1], 255);
	placer_agent_started(placer, &agents.list[0]);
	assert_int_equal(nr_told, 3);
	assert_int_equal(told[2].r.kind, AGENT_PLACE);
	assert_int_equal(told[2].node, 0);
}

static void figures_are_the_agents_words(void **state)
{
	struct placement_figures *f;
	struct placer_view v;
	struct region region;

	(void)state;
	start(1, 4, "");
	assert_string_equal(told[0].r.place.policy, POLICY_STANDARD);
	assert_true(placer_look(placer, 1, &v));
	assert_false(placer_look(placer, 2, &v));
	assert_string_equal(v.policy, POLICY_STANDARD);
	assert_int_equal(region_take(&region, told[0].region, PLACEMENT_BYTES),
			 0);
	told[0].region = -1;
	f = region.base;
	atomic_store(&f->moves, 17);
	assert_int_equal(atomic_load(&v.figures->moves), 17);
	region_destroy(&region);
}

static void another_home_and_another_policy(void **state)
{
	struct placer_view v;

	(void)state;
	start(1, 0, "");
	assert_int_equal(placer_set_policy(placer, 1, "autonuma"), 0);
	assert_int_equal(told[1].r.kind, AGENT_POLICY);
	assert_string_equal(told[1].r.policy.policy, "autonuma");
	assert_true(placer_look(placer, 1, &v));
	assert_string_equal(v.policy, "autonuma");
	start(1, 4, "autonuma");
	assert_int_equal(nr_told, 4);
	assert_int_equal(told[2].r.kind, AGENT_PLACE_END);
	assert_int_equal(told[2].node, 0);
	assert_int_equal(told[3].r.kind, AGENT_PLACE);
	assert_int_equal(told[3].node, 4);
	placer_stop(placer, 1);
	assert_int_equal(told[4].r.kind, AGENT_PLACE_END);
	assert_int_equal(told[4].node, 4);
	placer_stop(placer, 1);
	assert_int_equal(nr_told, 5);
}

/* An agent that is dead, and one that cannot be told, are no end of a VM. */
static void agents_may_be_gone(void **state)
{
	struct placer_view v;

	(void)state;
	agents.list[0].pid = 0;
	start(1, 0, "");
	assert_int_equal(nr_told, 0);
	assert_false(placer_look(placer, 1, &v));
	agents.list[0].pid = 1;
	placer_agent_started(placer, &agents.list[0]);
	assert_int_equal(nr_told, 2);
	assert_true(placer_look(placer, 1, &v));
	agent_refuses = true;
	placer_agent_started(placer, &agents.list[0]);
	start(2, 0, "");
	placer_stop(placer, 2);
	placer_stop(placer, 1);
}

static void start_with_copies(uint64_t id, nodeid_t node)
{
	struct placer_vm vm = { .id = id,
				.name = "vm",
				.pid = getpid(),
				.node = node,
				.memory_bytes = MIB(64),
				.copies = &worker,
				.bound_ns = 20000000 };

	placer_start(placer, &vm);
}

/* What one end sends arrives at the other. */
static void ends_fit(void)
{
	struct copies_link a = { 0 }, w = { 0 };
	struct copies_note n = { .page = 3, .kind = COPIES_MOVE };

	assert_int_equal(copies_link_open(&a, decider, true), 0);
	assert_int_equal(copies_link_open(&w, owner, false), 0);
	assert_int_equal(chan_sleep_begin(&w.rx), 0);
	assert_int_equal(chan_try_send(&a.tx, &n), 0);
	chan_sleep_end(&w.rx);
	assert_int_equal(a.tx.nr_wakeups, 1);
	n.page = 0;
	assert_int_equal(chan_try_recv(&w.rx, &n), 0);
	assert_int_equal(n.page, 3);
	copies_link_tell(&w, 4, COPIES_MOVED, 0);
	assert_int_equal(chan_try_recv(&a.rx, &n), 0);
	assert_int_equal(n.page, 4);
	copies_link_close(&a);
	copies_link_close(&w);
}

/* A VM whose views have copies: its agent and its worker get the two ends. */
static void copies_are_linked(void **state)
{
	(void)state;
	start(1, 0, "");
	assert_int_equal(nr_told, 1);
	assert_int_equal(nr_linked, 0); /* one without */
	start_with_copies(2, 4);
	assert_int_equal(nr_told, 3);
	assert_int_equal(told[1].r.kind, AGENT_PLACE);
	assert_int_equal(told[2].r.kind, AGENT_COPIES);
	assert_int_equal(told[2].r.copies.vm, 2);
	assert_int_equal(told[2].node, 4);
	assert_int_equal(nr_linked, 1);
	ends_fit();
	/* The next agent gets a link of its own. */
	placer_agent_started(placer, &agents.list[1]);
	assert_int_equal(nr_told, 6);
	assert_int_equal(told[5].r.kind, AGENT_COPIES);
	assert_int_equal(nr_linked, 2);
	ends_fit();
	/* A worker that is gone, and no agent: nothing that ends the monitor. */
	worker_err = -EPIPE;
	placer_agent_started(placer, &agents.list[1]);
	assert_int_equal(nr_linked, 3);
	for (unsigned i = 0; i < COPIES_LINK_FDS; i++)
		(void)close(decider[i]);
	agents.list[1].pid = 0;
	start_with_copies(3, 4);
	assert_int_equal(nr_linked, 3);
	placer_stop(placer, 2);
	placer_stop(placer, 3);
}

static void nodes_are_told_while_a_vm_is_placed(void **state)
{
	(void)state;
	start(1, 0, "");
	assert_int_equal(nr_told, 1);
	assert_int_equal(loop_turn(&loop, 0), 0);
	assert_int_equal(nr_told, 3); /* both agents */
	assert_int_equal(told[1].r.kind, AGENT_NODES);
	assert_int_equal(told[1].r.nodes.nr_nodes, 2);
	placer_stop(placer, 1);
	assert_int_equal(nr_told, 4);
}

static void plugins_are_checked(void **state)
{
	struct policy_choice c;
	struct diag d = { .status = ST_OK };

	(void)state;
	assert_int_equal(placer_plugin_fd(placer), -1);
	assert_int_equal(placer_load_plugin(placer, "/dev/null", &d), -EINVAL);
	assert_int_equal(d.status, ST_CONFIG);
	assert_int_equal(placer_plugin_fd(placer), -1);
	d = (struct diag){ .status = ST_OK };
	assert_int_equal(placer_parse(placer, "disco,trigger=5", &c, &d), 0);
	assert_int_equal(c.params[0], 5);
	assert_int_equal(placer_parse(placer, "nearest", &c, &d), -EINVAL);
}

#define PLACED(name)                                                           \
	cmocka_unit_test_setup_teardown(name, begin_with_source, end)

/* The best one is taken unless another is asked for. */
static void the_source_can_be_chosen(void **state)
{
	struct diag d = { 0 }, gone = { 0 };

	(void)state;
	assert_int_equal(placer_choose_source(placer, "auto", &d), 0);
	assert_int_equal(placer_choose_source(placer, "flash", &d), 0);
	assert_string_equal(placer_source(placer), "flash");
	assert_int_equal(placer_choose_source(placer, "ibs", &d), -EINVAL);
	assert_int_equal(d.status, ST_USAGE);
	assert_int_equal(placer_choose_source(placer, "off", &d), 0);
	assert_null(placer_source(placer));
	assert_int_equal(placer_choose_source(placer, "flash", &gone), -ENODEV);
	assert_int_equal(gone.status, ST_HOST);
	placer_agent_started(placer, &agents.list[0]);
	assert_int_equal(nr_told, 0);
}

/* --- other sources -------------------------------------------------------- */

/* In place of the kernel's answers. */
static int damon_err, idle_err, dirty_err;
static unsigned probes;

int damon_probe(const char *root, struct diag *d)
{
	assert_string_equal(root, DAMON_ROOT);
	probes++;
	return damon_err ? diag_fail(d, ST_HOST, -damon_err, "DAMON: why not")
			 : 0;
}

unsigned damon_tidy(const char *root)
{
	assert_string_equal(root, DAMON_ROOT);
	return 0;
}

int page_idle_open(const char *path, struct diag *d)
{
	assert_string_equal(path, PAGE_IDLE_PATH);
	return idle_err ? diag_fail(d, ST_HOST, -idle_err, "idle: why not")
			: open("/dev/null", O_RDWR | O_CLOEXEC);
}

int dirty_log_probe(int fd)
{
	(void)fd;
	return dirty_err;
}

/* And in place of the reader. */
static struct heat_reader_config reader; /* .root NULL: there is none */
static struct heat_order orders[8];
static unsigned nr_orders;

int heat_reader_create(struct heat_reader **out, struct loop *l,
		       const struct heat_reader_config *c)
{
	assert_ptr_equal(l, &loop);
	reader = *c;
	*out = (struct heat_reader *)&reader;
	return 0;
}

void heat_reader_destroy(struct heat_reader *h)
{
	if (h)
		reader.root = NULL;
}

void heat_reader_order(struct heat_reader *h, uint64_t vm, pid_t pid,
		       uint64_t ram_bytes)
{
	assert_ptr_equal(h, &reader);
	assert_true(nr_orders < ARRAY_SIZE(orders));
	orders[nr_orders++] = (struct heat_order){ .vm = vm,
						   .pid = (int32_t)pid,
						   .ram_bytes = ram_bytes };
}

static int choose(const char *name)
{
	return placer_choose_source(placer, name, &(struct diag){ 0 });
}

static void heat_goes_to_the_agent(void **state)
{
	struct agent_req_heat heat = { .vm = 1, .nr = 3, .period_ns = 7 };
	struct worker_req_sample s;

	(void)state;
	damon_err = idle_err = 0;
	nr_orders = 0;
	assert_int_equal(choose("abits,rate=50000,cpu=20"), 0);
	assert_string_equal(placer_source(placer), "damon");
	assert_false(placer_sampling(placer, &s)); /* workers do nothing */
	assert_int_equal(reader.limits.regions, PLACER_DAMON_REGIONS);
	assert_int_equal(reader.limits.sample_us, 2000);
	assert_int_equal(reader.share, 20);
	start(1, 4, "");
	assert_int_equal(nr_orders, 1);
	assert_int_equal(orders[0].vm, 1);
	assert_int_equal(orders[0].pid, getpid());
	assert_int_equal(orders[0].ram_bytes, MIB(64));
	/* All its vCPUs are on its home. */
	assert_int_equal(told[0].r.place.vcpu_node, 1);
	nr_told = 0;
	reader.heat(reader.arg, &heat);
	assert_int_equal(nr_told, 1);
	assert_int_equal(told[0].node, 4);
	assert_int_equal(told[0].r.kind, AGENT_HEAT);
	assert_int_equal(told[0].r.heat.nr, 3);
	heat.vm = 2; /* that has ended meanwhile */
	reader.heat(reader.arg, &heat);
	assert_int_equal(nr_told, 1);
	placer_stop(placer, 1);
	assert_int_equal(nr_orders, 2);
	assert_int_equal(orders[1].pid, 0);
	start_with_copies(9, 0); /* mapped where DAMON does not look */
	placer_stop(placer, 9);
	assert_int_equal(nr_orders, 2);
}

static void vcpus_on_several_nodes_are_nobodys(void **state)
{
	struct placer_vm vm = { .id = 3,
				.name = "vm",
				.pid = getpid(),
				.node = 0,
				.nodes = { .nr = 2, .ids = { 0, 4 } },
				.memory_bytes = MIB(64),
				.bound_ns = 20000000 };

	(void)state;
	placer_start(placer, &vm);
	assert_int_equal(told[0].r.place.vcpu_node, AGENT_NO_NODE);
	vm.nodes = (struct node_list){ .nr = 1, .ids = { 4 } };
	placer_start(placer, &vm);
	assert_int_equal(told[nr_told - 1].r.place.vcpu_node, 1);
	vm.nodes.nr = 0;
	placer_start(placer, &vm);
	assert_int_equal(told[nr_told - 1].r.place.vcpu_node, 0);
	vm.node = 77; /* of no node that is known */
	placer_start(placer, &vm);
	placer_stop(placer, 3);
}

static void refused(const char *name, const char *text)
{
	struct diag d = { 0 };

	assert_int_equal(placer_choose_source(placer, name, &d), -ENODEV);
	assert_int_equal(d.status, ST_HOST);
	if (!strstr(d.text, text))
		fail_msg("'%s' is not in '%s'", text, d.text);
	assert_null(strchr(d.text, '\n'));
	assert_null(placer_source(placer));
}

static void bits_and_writes_on_request(void **state)
{
	static const char *const wrong[] = {
		"damon,rate=0",	 "abits,cpu=501", "page_idle,rate=100001",
		"dirty,rate=1,", "abit",	  "dirty=1"
	};
	struct worker_req_sample s;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(choose(wrong[i]), -EINVAL);
	damon_err = -EBUSY;
	idle_err = -ENOENT;
	dirty_err = -EOPNOTSUPP;
	refused("damon", "--access-source=damon: DAMON: why not");
	refused("page_idle", "--access-source=page_idle: idle: why not");
	refused("abits", "DAMON: why not; idle: why not");
	refused("dirty", "Linux 5.8");
	/* Another monitor that ends: it is asked more than once. */
	damon_err = -EAGAIN;
	probes = 0;
	refused("damon", "why not");
	assert_true(probes > 10);
	damon_err = -EBUSY;
	idle_err = dirty_err = 0;
	assert_int_equal(choose("abits"), 0); /* the second choice */
	assert_string_equal(placer_source(placer), "page_idle");
	assert_false(placer_sampling(placer, &s));
	placer_agent_started(placer, &agents.list[0]);
	assert_int_equal(told[0].r.machine.source, AGENT_SOURCE_IDLE);
	assert_int_equal(told[0].r.machine.rate, PLACER_BITS_RATE);
	assert_int_equal(told[0].r.machine.share, PLACER_FAULTS_CPU);
	assert_int_equal(choose("dirty,rate=640"), 0);
	assert_string_equal(placer_source(placer), "dirty");
	assert_true(placer_sampling(placer, &s));
	assert_int_equal(s.how, WORKER_SAMPLE_WRITES);
	assert_int_equal(s.rate, 640);
	assert_int_equal(choose("off"), 0);
	assert_null(placer_source(placer));
}

/* --- faults --------------------------------------------------------------- */

static int traps_err;

int page_traps_probe(void)
{
	return traps_err;
}

static void faults_are_sampled_on_request(void **state)
{
	static const char *const wrong[] = {
		"faults,",	 "faults,rate=",    "faults,rate=0",
		"faults,rate=x", "faults,rate=1x",  "faults,cpu=501",
		"faults,cpu=-1", "faults,rate=1,,", "faults,rate=10001",
		"faultsy",	 "faults rate=1",   "faults,latency=1",
	};
	static uint16_t cpus[] = { 1, 3, 2047, 2048 };
	const struct agent_req_machine *m = &told[0].r.machine;
	struct worker_req_sample s = { .rate = 7, .share = 7 };

	(void)state;
	assert_false(placer_sampling(NULL, &s));
	assert_false(placer_sampling(placer, &s));
	assert_int_equal(s.rate, 7);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct diag d = { 0 };

		assert_int_equal(placer_choose_source(placer, wrong[i], &d),
				 -EINVAL);
		assert_int_equal(d.status, ST_USAGE);
		assert_null(placer_source(placer));
	}
	traps_err = -EPERM;
	assert_int_equal(
		placer_choose_source(placer, "faults", &(struct diag){ 0 }),
		-ENODEV);
	assert_null(placer_source(placer));
	traps_err = 0;
	assert_int_equal(
		placer_choose_source(placer, "faults", &(struct diag){ 0 }), 0);
	assert_string_equal(placer_source(placer), "faults");
	assert_true(placer_sampling(placer, &s));
	assert_int_equal(s.rate, PLACER_FAULTS_RATE);
	assert_int_equal(s.share, PLACER_FAULTS_CPU);
	assert_int_equal(placer_choose_source(placer, "faults,cpu=20,rate=50",
					      &(struct diag){ 0 }),
			 0);
	assert_true(placer_sampling(placer, &s));
	assert_int_equal(s.rate, 50);
	assert_int_equal(s.share, 20);
	topology.nodes[1].cpus = cpus;
	topology.nodes[1].nr_cpus = ARRAY_SIZE(cpus);
	placer_agent_started(placer, &agents.list[0]);
	/* It has no accesses of a VM with copies, whose worker decides then. */
	start_with_copies(9, 0);
	assert_int_equal(nr_linked, 0);
	assert_int_equal(told[nr_told - 1].r.kind, AGENT_PLACE);
	placer_stop(placer, 9);
	assert_int_equal(m->source, AGENT_SOURCE_FAULTS);
	assert_int_equal(m->node_of_cpu[0], AGENT_NO_NODE);
	assert_int_equal(m->node_of_cpu[1], 1);
	assert_int_equal(m->node_of_cpu[3], 1);
	assert_int_equal(m->node_of_cpu[2047], 1);
	assert_int_equal(
		placer_choose_source(placer, "off", &(struct diag){ 0 }), 0);
	assert_false(placer_sampling(placer, &s));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(faults_are_sampled_on_request,
						begin_without, end),
		cmocka_unit_test_setup_teardown(
			nothing_is_told_without_a_source, begin_without, end),
		cmocka_unit_test_setup_teardown(heat_goes_to_the_agent,
						begin_without, end),
		cmocka_unit_test_setup_teardown(bits_and_writes_on_request,
						begin_without, end),
		PLACED(vcpus_on_several_nodes_are_nobodys),
		PLACED(the_machine_and_its_vms_are_told),
		PLACED(figures_are_the_agents_words),
		PLACED(another_home_and_another_policy),
		PLACED(agents_may_be_gone),
		PLACED(copies_are_linked),
		PLACED(nodes_are_told_while_a_vm_is_placed),
		PLACED(plugins_are_checked),
		PLACED(the_source_can_be_chosen),
	};

	return cmocka_run_group_tests_name("placer", tests, NULL, NULL);
}
