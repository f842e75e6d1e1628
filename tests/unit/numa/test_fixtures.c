/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machines of tests/fixtures/topology: what is read of each, where VMs
 * are placed on it, and which ones balancing moves. What is expected was
 * worked out from the rules in the headers, not by the code.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "numa/place.h"
#include "tests/unit/numa/machine.h"
#include "tests/unit/support.h"

#define MAX_VMS 24

static struct topology topo;

static int reset(void **state)
{
	(void)state;
	machine_reset(&topo);
	return 0;
}

/* Adds to a text; fails when it is full. */
static void add(char *text, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void add(char *text, size_t size, const char *format, ...)
{
	size_t len = strlen(text);
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text + len, size - len, format, args);
	va_end(args);
	assert_true(n >= 0 && (size_t)n < size - len);
}

/* --- what is read --- */

struct machine {
	const char *name;
	/* A line a node: number, CPUs, MiB, distances. */
	const char *nodes;
};

/* Sixteen nodes are written down by rule, see sixteen_nodes(). */
static const struct machine machines[] = {
	{ "one-node", "0 cpus 0-1 mem 9690 dist 10\n" },
	{ "two-sockets", "0 cpus 0-3,8-11 mem 32768 dist 10 21\n"
			 "1 cpus 4-7,12-15 mem 32768 dist 21 10\n" },
	{ "old-format", "0 cpus 0-3,8-11 mem 32768 dist 10 21\n"
			"1 cpus 4-7,12-15 mem 32768 dist 21 10\n" },
	{ "lab", "0 cpus 0-1 mem 2048 dist 10 21 31 21\n"
		 "1 cpus 2-3 mem 2048 dist 21 10 21 31\n"
		 "2 cpus 4-5 mem 2048 dist 31 21 10 21\n"
		 "3 cpus 6-7 mem 2048 dist 21 31 21 10\n" },
	{ "cxl", "0 cpus 0-3 mem 65536 dist 10 21 14 24\n"
		 "1 cpus 4-7 mem 65536 dist 21 10 24 14\n"
		 "2 cpus - mem 131072 dist 14 24 10 26\n"
		 "3 cpus - mem 131072 dist 24 14 26 10\n" },
	{ "hbm", "0 cpus 0-3 mem 24576 dist 10 21 21 21 31 41 41 41\n"
		 "1 cpus 4-7 mem 24576 dist 21 10 21 21 41 31 41 41\n"
		 "2 cpus 8-11 mem 24576 dist 21 21 10 21 41 41 31 41\n"
		 "3 cpus 12-15 mem 24576 dist 21 21 21 10 41 41 41 31\n"
		 "4 cpus - mem 4096 dist 31 41 41 41 10 41 41 41\n"
		 "5 cpus - mem 4096 dist 41 31 41 41 41 10 41 41\n"
		 "6 cpus - mem 4096 dist 41 41 31 41 41 41 10 41\n"
		 "7 cpus - mem 4096 dist 41 41 41 31 41 41 41 10\n" },
	{ "pool", "0 cpus 0-1 mem 16384 dist 10 21 28\n"
		  "1 cpus 2-3 mem 16384 dist 21 10 28\n"
		  "2 cpus - mem 262144 dist 28 28 10\n" },
	{ "memory-less", "0 cpus 0-3 mem 16384 dist 10 12 32 32\n"
			 "1 cpus 4-7 mem 0 dist 12 10 32 32\n"
			 "2 cpus 8-11 mem 16384 dist 32 32 10 12\n"
			 "3 cpus 12-15 mem 0 dist 32 32 12 10\n" },
	{ "apart", "0 cpus 0-1 mem 0 dist 10 20 20\n"
		   "1 cpus 2-3 mem 0 dist 20 10 20\n"
		   "2 cpus - mem 65536 dist 20 20 10\n" },
	{ "uneven", "0 cpus 0-7 mem 65536 dist 10 21 31\n"
		    "1 cpus 8-10 mem 12288 dist 21 10 25\n"
		    "2 cpus 16 mem 2048 dist 31 21 10\n" },
	{ "gaps", "0 cpus 0-3 mem 131072 dist 10 40\n"
		  "8 cpus 4-7 mem 131072 dist 40 10\n" },
};

static void add_cpus(char *text, size_t size, const struct topology_node *n)
{
	for (unsigned i = 0; i < n->nr_cpus; i++) {
		unsigned first = i;

		while (i + 1 < n->nr_cpus && n->cpus[i + 1] == n->cpus[i] + 1)
			i++;
		add(text, size, "%s%u", first ? "," : "", n->cpus[first]);
		if (i > first)
			add(text, size, "-%u", n->cpus[i]);
	}
	if (!n->nr_cpus)
		add(text, size, "-");
}

static void describe(char *text, size_t size)
{
	text[0] = '\0';
	for (unsigned i = 0; i < topo.nr_nodes; i++) {
		const struct topology_node *n = &topo.nodes[i];

		add(text, size, "%d cpus ", n->id);
		add_cpus(text, size, n);
		assert_int_equal(n->free_bytes, n->total_bytes);
		add(text, size, " mem %u dist",
		    (unsigned)(n->total_bytes / MIB(1)));
		for (unsigned k = 0; k < topo.nr_nodes; k++)
			add(text, size, " %u",
			    topology_distance(&topo, n->id, topo.nodes[k].id));
		add(text, size, "\n");
	}
}

static void nodes_are_read(void **state)
{
	char text[2048];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(machines); i++) {
		machine_fixture(&topo, machines[i].name);
		describe(text, sizeof(text));
		if (strcmp(text, machines[i].nodes) != 0)
			fail_msg("%s: not\n%sbut\n%s", machines[i].name,
				 machines[i].nodes, text);
	}
}

static unsigned ring(unsigned i, unsigned j)
{
	unsigned far = i > j ? i - j : j - i;

	far = far > 8 ? 16 - far : far;
	return far ? 11 + 10 * far : 10;
}

static unsigned hypercube(unsigned i, unsigned j)
{
	return 10 + 6 * (unsigned)__builtin_popcount(i ^ j);
}

static void sixteen(const char *name, unsigned gib,
		    unsigned (*far)(unsigned i, unsigned j))
{
	machine_fixture(&topo, name);
	assert_int_equal(topo.nr_nodes, 16);
	for (unsigned i = 0; i < 16; i++) {
		const struct topology_node *n = &topo.nodes[i];

		assert_int_equal(n->id, i);
		assert_int_equal(n->nr_cpus, 2);
		assert_int_equal(n->cpus[0], 2 * i);
		assert_int_equal(n->cpus[1], 2 * i + 1);
		assert_int_equal(n->total_bytes, GIB(gib));
		for (unsigned j = 0; j < 16; j++)
			assert_int_equal(topology_distance(&topo, (nodeid_t)i,
							   (nodeid_t)j),
					 far(i, j));
	}
}

static void sixteen_nodes(void **state)
{
	(void)state;
	sixteen("ring", 8, ring);
	sixteen("hypercube", 16, hypercube);
}

/* Whose CPUs serve memory that has none: one pair of digits a node. */
static void nearest_cpus(void **state)
{
	static const struct {
		const char *name, *near;
	} want[] = {
		{ "cxl", "0 1 0 1 " },	       { "hbm", "0 1 2 3 0 1 2 3 " },
		{ "pool", "0 1 0 " }, /* as far from both: the lower number */
		{ "memory-less", "0 1 2 3 " }, { "apart", "0 1 0 " },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		char text[64] = "";

		machine_fixture(&topo, want[i].name);
		for (unsigned k = 0; k < topo.nr_nodes; k++)
			add(text, sizeof(text), "%d ",
			    topology_cpus_near(&topo, topo.nodes[k].id)->id);
		assert_string_equal(text, want[i].near);
	}
}

static void a_file_that_broke_off_is_refused(void **state)
{
	struct diag d = { 0 };

	(void)state;
	(void)setenv("HWLOC_XMLFILE", "tests/fixtures/topology/cut.xml", 1);
	assert_int_equal(topology_create(&topo, &d), -ENODEV);
	assert_int_equal(d.status, ST_HOST);
	assert_non_null(strstr(d.text, "HWLOC_XMLFILE"));
	assert_int_equal(topo.nr_nodes, 0);
}

/* --- placement --- */

struct placement {
	const char *name;
	/* VMs: how many * MiB : vCPUs @ node (if not auto), "!": strict. */
	const char *vms;
	const char *nodes; /* in the order of the VMs */
};

static const struct placement placements[] = {
	/* One node takes everything, also what does not fit. */
	{ "one-node", "3*4096:2", "0 0 0 " },
	/* One after the other; strict ones first, and 32 = 4 + 20 + 8. */
	{ "two-sockets", "4*1024:2", "0 1 0 1 " },
	{ "old-format", "4*1024:2", "0 1 0 1 " },
	{ "two-sockets", "2*20480:1 2*8192:8 2*4096:1!", "0 1 0 1 0 1 " },
	{ "lab", "8*512:1", "0 1 2 3 0 1 2 3 " },
	/* What does not fit on 0 spills to 1: 3 and 2 are emptier then. */
	{ "lab", "1*3072:1@0 4*1024:1", "0 2 3 1 2 " },
	{ "ring", "18*1024:1", "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 0 1 " },
	/* 12 GiB on 8: the rest on 7, where 8 GiB do not fit then. */
	{ "ring", "1*12288:1@8 14*8192:1!",
	  "8 0 1 2 3 4 5 6 9 10 11 12 13 14 15 " },
	{ "hypercube", "3*1024:4@0 16*1024:1",
	  "0 0 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 1 " },
	/* Never on an expander, not when the sockets are full either ... */
	{ "cxl", "5*40960:1", "0 1 0 1 0 " },
	/* ... but when asked for, as work of the socket it hangs on. */
	{ "cxl", "2*40960:2@2! 4*1024:2", "2 2 1 1 0 1 " },
	{ "hbm", "5*1024:1", "0 1 2 3 0 " },
	{ "hbm", "1*4096:4@5! 4*1024:1", "5 0 2 3 0 " },
	{ "pool", "4*8192:1!", "0 1 0 1 " },
	/* CPUs without memory are nobody's home: 0 and 2, full or not. */
	{ "memory-less", "6*8192:4", "0 2 0 2 0 2 " },
	/* All memory on a node without CPUs: only who asks for it. */
	{ "apart", "2*1024:1@2!", "2 2 " },
	/*
	 * The fewest vCPUs a CPU, of 8, 3 and 1, once it is there: 1/8, 2/8,
	 * 1/3, 3/8 ... 8/8; then 3/3 has less memory, and 1/1 the least.
	 */
	{ "uneven", "12*128:1", "0 0 1 0 0 0 1 0 0 0 1 2 " },
	/* 2 GiB are too little for 3, 12 too little for 13. */
	{ "uneven", "3*3072:1! 2*13312:4", "0 0 1 0 0 " },
	{ "gaps", "3*1024:1", "0 8 0 " },
};

struct refusal {
	const char *name, *vms;
	int err;
	enum exit_status status;
	const char *text; /* part of the message */
};

static const struct refusal refusals[] = {
	{ "one-node", "3*4096:2!", -ENOMEM, ST_MEMORY,
	  "4096 MiB do not fit on node 0, which has 1498 MiB free of 9690" },
	{ "one-node", "1*1024:1@1", -ENOENT, ST_CONFIG,
	  "no node 1 here; nodes are 0 (or 'auto')" },
	{ "lab", "9*1024:1!", -ENOMEM, ST_MEMORY,
	  "do not fit on node 0, which has 0 MiB free of 2048 MiB (2048 MiB "
	  "go to other VMs" },
	{ "cxl", "3*40960:1!", -ENOMEM, ST_MEMORY,
	  "40960 MiB do not fit on node 0, which has 24576 MiB free" },
	{ "hbm", "1*4097:1@4!", -ENOMEM, ST_MEMORY,
	  "4097 MiB do not fit on node 4" },
	{ "pool", "5*8192:1!", -ENOMEM, ST_MEMORY,
	  "8192 MiB do not fit on node 0, which has 0 MiB free of 16384" },
	{ "memory-less", "1*1024:1@3", -ENOMEM, ST_MEMORY,
	  "vm 'vm': node 3 has no memory" },
	{ "memory-less", "1*1024:1@1!", -ENOMEM, ST_MEMORY,
	  "vm 'vm': node 1 has no memory" },
	{ "apart", "1*1024:1", -ENODEV, ST_HOST,
	  "no node has both CPUs and memory" },
	{ "gaps", "1*1024:1@1", -ENOENT, ST_CONFIG,
	  "no node 1 here; nodes are 0, 8 (or 'auto')" },
};

static unsigned parse_requests(const char *text, struct place_request *reqs)
{
	unsigned nr = 0;

	while (*text) {
		struct place_request r = { .name = "vm", .node = NODE_AUTO };
		unsigned count, mib;
		int len;

		assert_int_equal(sscanf(text, "%u*%u:%u%n", &count, &mib,
					&r.nr_vcpus, &len),
				 3);
		text += len;
		if (sscanf(text, "@%d%n", &r.node, &len) == 1)
			text += len;
		r.bytes = MIB(mib);
		r.strict = *text == '!';
		text += strspn(text, "! ");
		assert_true(nr + count <= MAX_VMS);
		for (unsigned i = 0; i < count; i++)
			reqs[nr++] = r;
	}
	return nr;
}

static void check_placement(const struct placement *p)
{
	struct place_request reqs[MAX_VMS];
	nodeid_t nodes[MAX_VMS];
	struct diag d = { 0 };
	unsigned nr = parse_requests(p->vms, reqs);
	char text[256] = "";

	machine_fixture(&topo, p->name);
	if (place_initial(&topo, reqs, nr, nodes, &d))
		fail_msg("%s, %s: %s", p->name, p->vms, d.text);
	for (unsigned i = 0; i < nr; i++)
		add(text, sizeof(text), "%d ", nodes[i]);
	if (strcmp(text, p->nodes) != 0)
		fail_msg("%s, %s: on %snot on %s", p->name, p->vms, text,
			 p->nodes);
}

static void vms_are_placed(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(placements); i++)
		check_placement(&placements[i]);
}

static void vms_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
		const struct refusal *f = &refusals[i];
		struct place_request reqs[MAX_VMS];
		nodeid_t nodes[MAX_VMS];
		struct diag d = { 0 };
		unsigned nr = parse_requests(f->vms, reqs);
		int err;

		machine_fixture(&topo, f->name);
		err = place_initial(&topo, reqs, nr, nodes, &d);
		if (err != f->err || d.status != f->status ||
		    !strstr(d.text, f->text))
			fail_msg("%s, %s: %d, '%s'", f->name, f->vms, err,
				 d.text);
	}
}

/* --- balance --- */

struct balance {
	const char *name;
	/* VMs 1, 2, ...: node:load:MiB, load 1000 a CPU; "!": it is fixed. */
	const char *vms;
	const char *moves; /* VM>node, in their order */
	const char *loads; /* of the nodes at rest, 1000: all CPUs are busy */
};

static const struct balance balances[] = {
	{ "one-node", "0:1000:64 0:1000:64 0:1000:64 0:1000:64", "", "2000 " },
	/* 6/8 and 0 become 4/8 and 2/8, which is even enough. */
	{ "two-sockets",
	  "0:1000:64 0:1000:64 0:1000:64 0:1000:64 0:1000:64 0:1000:64",
	  "1>1 2>1 ", "500 250 " },
	{ "old-format",
	  "0:1000:64! 0:1000:64 0:1000:64 0:1000:64 0:1000:64 0:1000:64",
	  "2>1 3>1 ", "500 250 " },
	{ "two-sockets", "0:1000:512 0:1000:64 0:1000:256 0:1000:64", "2>1 ",
	  "375 125 " },
	/* Neighbours first, across the ring last. */
	{ "lab", "0:1000:64 0:1000:64 0:1000:64 0:1000:64", "1>1 2>3 3>2 ",
	  "500 500 500 500 " },
	/* All of a node but 1/32 fits; a MiB more does not. */
	{ "lab", "0:1000:1984 0:1000:64!", "1>1 ", "500 500 0 0 " },
	{ "lab", "0:1000:1985 0:1000:64!", "", "1000 0 0 0 " },
	/* Two full nodes take turns. */
	{ "ring",
	  "0:1000:64 0:1000:64 0:1000:64 0:1000:64 "
	  "8:1000:64 8:1000:64 8:1000:64 8:1000:64",
	  "1>1 5>7 2>15 6>9 3>2 7>6 ",
	  "500 500 500 0 0 0 500 500 500 500 0 0 0 0 0 500 " },
	{ "hypercube", "0:1000:64 0:1000:64 0:1000:64", "1>1 2>2 ",
	  "500 500 500 0 0 0 0 0 0 0 0 0 0 0 0 0 " },
	/* Those on the expander are a load of socket 0; they leave it. */
	{ "cxl", "2:2000:1024 2:2000:1024 0:2000:2048 0:2000:2048", "1>1 2>1 ",
	  "1000 1000 0 0 " },
	{ "cxl", "0:4000:64 0:4000:64 1:4000:64 1:4000:64", "",
	  "2000 2000 0 0 " },
	{ "hbm", "4:4000:64 4:4000:64 4:4000:64", "1>1 2>2 ",
	  "1000 1000 1000 0 0 0 0 0 " },
	{ "pool", "2:1000:64 2:1000:64", "1>1 ", "500 500 0 " },
	/* Nothing goes to 1 and 3; what runs there may leave, to the near. */
	{ "memory-less", "0:2000:64 0:2000:64 0:2000:64 0:2000:64", "1>2 2>2 ",
	  "1000 0 1000 0 " },
	{ "memory-less", "0:4000:0 0:4000:0", "1>2 ", "1000 0 1000 0 " },
	{ "memory-less", "1:4000:64 1:4000:64", "1>0 ", "1000 1000 0 0 " },
	{ "apart", "2:1000:64 2:1000:64 2:1000:64 2:1000:64", "", "2000 0 0 " },
	/* VM 2 goes on from the one CPU when node 0 turns out emptier. */
	{ "uneven",
	  "1:1000:64 1:1000:64 1:1000:64 1:1000:64 1:1000:64 1:1000:64",
	  "1>0 2>2 3>0 4>0 2>0 ", "500 666 0 " },
	{ "uneven", "0:8000:4096 0:8000:64", "", "2000 0 0 " },
	{ "gaps", "8:1000:64 8:1000:64 8:1000:64 8:1000:64", "1>0 2>0 ",
	  "500 500 " },
	/* To swap it is no gain; two are idle. */
	{ "gaps", "8:4000:64 8:99:1 8:99:1", "", "0 1049 " },
};

static unsigned parse(const char *text, struct balance_vm *vms)
{
	unsigned nr = 0;
	int len;

	for (; *text; text += len + strspn(text + len, " !")) {
		unsigned load, mib;
		nodeid_t at;

		assert_true(nr < MAX_VMS);
		assert_int_equal(
			sscanf(text, "%d:%u:%u%n", &at, &load, &mib, &len), 3);
		vms[nr] = (struct balance_vm){
			.id = nr + 1,
			.node = at,
			.load = load,
			.pages = MIB(mib) / PAGE_BYTES,
			.rested = UINT32_MAX,
			.fixed = text[len] == '!',
		};
		nr++;
	}
	return nr;
}

static void note_move(void *arg, const struct balance_vm *vm)
{
	add(arg, 256, "%u>%d ", (unsigned)vm->id, vm->node);
}

static void check_balance(const struct balance *b)
{
	struct balance_vm vms[MAX_VMS];
	unsigned nr = parse(b->vms, vms);
	char moves[256] = "", loads[256] = "";

	machine_fixture(&topo, b->name);
	for (unsigned i = 0; i < nr; i++)
		assert_non_null(topology_find(&topo, vms[i].node));
	(void)machine_balance(&topo, vms, nr, 100, b->name, note_move, moves);
	for (unsigned i = 0; i < topo.nr_nodes; i++)
		add(loads, sizeof(loads), "%u ",
		    (unsigned)balance_load(&topo, vms, nr, topo.nodes[i].id));
	if (strcmp(moves, b->moves) != 0 || strcmp(loads, b->loads) != 0)
		fail_msg("%s, %s: moves %s(not %s), loads %s(not %s)", b->name,
			 b->vms, moves, b->moves, loads, b->loads);
}

static void busy_vms_are_moved(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(balances); i++)
		check_balance(&balances[i]);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_teardown(f, reset)
	const struct CMUnitTest tests[] = {
		TEST(nodes_are_read),
		TEST(sixteen_nodes),
		TEST(nearest_cpus),
		TEST(a_file_that_broke_off_is_refused),
		TEST(vms_are_placed),
		TEST(vms_are_refused),
		TEST(busy_vms_are_moved),
	};

	return cmocka_run_group_tests_name("fixtures", tests, NULL, NULL);
}
