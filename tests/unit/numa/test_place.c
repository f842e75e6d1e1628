/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "numa/place.h"

#define CPUS(n) .nr_cpus = (n)

static struct topology four = {
	.nr_nodes = 4,
	.nodes = {
		{ 0, GIB(1), GIB(1), CPUS(2), NULL },
		{ 1, GIB(1), GIB(1), CPUS(2), NULL },
		{ 2, GIB(1), GIB(1), CPUS(2), NULL },
		{ 3, GIB(1), GIB(1), CPUS(2), NULL },
	},
};

/* A big node, one without CPUs, one without memory, a small one; ids odd. */
static struct topology odd = {
	.nr_nodes = 4,
	.nodes = {
		{ 0, GIB(4), GIB(4), CPUS(8), NULL },
		{ 2, GIB(64), GIB(64), CPUS(0), NULL },
		{ 5, 0, 0, CPUS(8), NULL },
		{ 9, GIB(1), MIB(512), CPUS(2), NULL },
	},
};

static struct place_request vm(uint64_t bytes, unsigned nr_vcpus, nodeid_t node,
			       bool strict)
{
	return (struct place_request){ .name = "a",
				       .bytes = bytes,
				       .nr_vcpus = nr_vcpus,
				       .node = node,
				       .strict = strict };
}

static void place(const struct topology *t, const struct place_request *reqs,
		  unsigned nr, nodeid_t *nodes)
{
	struct diag d = { 0 };

	if (place_initial(t, reqs, nr, nodes, &d))
		fail_msg("%s", d.text);
}

static void refuse(const struct topology *t, const struct place_request *reqs,
		   unsigned nr, int err, enum exit_status status,
		   const char *text)
{
	nodeid_t nodes[8] = { -77, -77, -77, -77, -77, -77, -77, -77 };
	struct diag d = { 0 };

	assert_int_equal(place_initial(t, reqs, nr, nodes, &d), err);
	assert_int_equal(d.status, status);
	assert_string_equal(d.text, text);
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++)
		assert_int_equal(nodes[i], -77);
}

static void four_use_all_four(void **state)
{
	struct place_request reqs[8];
	nodeid_t nodes[8];
	unsigned used[4] = { 0 };

	(void)state;
	for (size_t i = 0; i < 8; i++)
		reqs[i] = vm(MIB(256), 1, NODE_AUTO, false);
	place(&four, reqs, 4, nodes);
	for (int i = 0; i < 4; i++)
		assert_int_equal(nodes[i], i);
	place(&four, reqs, 8, nodes);
	for (size_t i = 0; i < 8; i++)
		used[nodes[i]]++;
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(used[i], 2);
}

static void vcpus_a_cpu_then_memory(void **state)
{
	struct place_request reqs[] = {
		vm(MIB(64), 4, 0, false),	  vm(MIB(512), 1, 1, false),
		vm(MIB(256), 1, 2, false),	  vm(MIB(128), 1, 3, false),
		vm(MIB(64), 1, NODE_AUTO, false),
	};
	nodeid_t nodes[5];

	(void)state;
	place(&four, reqs, 5, nodes);
	assert_int_equal(nodes[4], 3);
}

/* Explicit VMs are charged first, wherever they stand in the list. */
static void auto_goes_around_explicit(void **state)
{
	struct place_request reqs[] = {
		vm(MIB(64), 1, NODE_AUTO, false),
		vm(MIB(64), 1, 0, false),
		vm(MIB(64), 1, 1, true),
	};
	nodeid_t nodes[3];

	(void)state;
	place(&four, reqs, 3, nodes);
	assert_int_equal(nodes[0], 2);
	assert_int_equal(nodes[1], 0);
	assert_int_equal(nodes[2], 1);
}

static void never_without_cpus_nor_room(void **state)
{
	struct place_request reqs[12];
	nodeid_t nodes[12];

	(void)state;
	for (size_t i = 0; i < 12; i++)
		reqs[i] = vm(MIB(256), 1, NODE_AUTO, false);
	place(&odd, reqs, 12, nodes);
	for (size_t i = 0; i < 12; i++)
		assert_true(nodes[i] == 0 || nodes[i] == 9);
}

static void room_goes_before_load(void **state)
{
	struct place_request reqs[] = {
		vm(MIB(64), 64, 0, false),
		vm(GIB(1), 1, NODE_AUTO, false),
	};
	nodeid_t nodes[2];

	(void)state;
	place(&odd, reqs, 2, nodes);
	assert_int_equal(nodes[1], 0);
}

static void too_large_takes_the_most_room(void **state)
{
	struct place_request req = vm(GIB(100), 1, NODE_AUTO, false);
	nodeid_t node;

	(void)state;
	place(&odd, &req, 1, &node);
	assert_int_equal(node, 0);
}

/* It may be free as yet. */
static void promised_memory_is_no_room(void **state)
{
	static struct topology t = {
		.nr_nodes = 1,
		.nodes = { { .id = 0,
			     .total_bytes = GIB(4),
			     .free_bytes = GIB(3),
			     .nr_cpus = 1 } },
	};
	struct place_request r = vm(GIB(2), 1, 0, true);
	nodeid_t node;

	(void)state;
	t.nodes[0].promised_bytes = GIB(2);
	place(&t, &r, 1, &node);
	t.nodes[0].promised_bytes = GIB(3);
	refuse(&t, &r, 1, -ENOMEM, ST_MEMORY,
	       "vm 'a': 2048 MiB do not fit on node 0, which has 1024 MiB free "
	       "of 4096 MiB (0 MiB go to other VMs of this run, 3072 MiB are "
	       "promised to running ones); give it less memory or another "
	       "node, leave out 'strict', or insist with --overcommit");
	t.nodes[0].promised_bytes = GIB(5);
	r.strict = false;
	place(&t, &r, 1, &node);
}

static void explicit_is_kept(void **state)
{
	struct place_request reqs[] = {
		vm(GIB(100), 1, 9, false), /* too large, but not strict */
		vm(GIB(1), 1, 2, true),	   /* no CPUs */
	};
	nodeid_t nodes[2];

	(void)state;
	place(&odd, reqs, 2, nodes);
	assert_int_equal(nodes[0], 9);
	assert_int_equal(nodes[1], 2);
}

/* Linux would refuse to bind there: better before anything is started. */
static void nobody_lives_without_memory(void **state)
{
	static struct topology none = {
		.nr_nodes = 2,
		.nodes = { { 0, 0, 0, CPUS(4), NULL },
			   { 1, GIB(4), GIB(4), CPUS(0), NULL } },
	};
	struct place_request asked = vm(MIB(64), 1, 5, false);
	struct place_request any = vm(MIB(64), 1, NODE_AUTO, false);
	nodeid_t node;

	(void)state;
	for (unsigned strict = 0; strict < 2; strict++) {
		asked.strict = strict;
		refuse(&odd, &asked, 1, -ENOMEM, ST_MEMORY,
		       "vm 'a': node 5 has no memory; give it another node, "
		       "or 'auto'");
	}
	refuse(&none, &any, 1, -ENODEV, ST_HOST,
	       "vm 'a': no node has both CPUs and memory; name one that has "
	       "memory");
	any.node = 1;
	place(&none, &any, 1, &node);
	assert_int_equal(node, 1);
}

/* Also when nothing is free anywhere, and its CPUs are idle. */
static void full_is_better_than_memory_less(void **state)
{
	struct topology t = odd;
	struct place_request reqs[] = {
		vm(MIB(64), 60, 0, false),
		vm(MIB(64), 60, 9, false),
		vm(MIB(64), 1, NODE_AUTO, false),
	};
	nodeid_t nodes[3];

	(void)state;
	t.nodes[0].free_bytes = t.nodes[3].free_bytes = 0;
	place(&t, reqs, 3, nodes);
	assert_int_equal(nodes[2], 0);
}

/* Two VMs on the node without CPUs run on node 0, so the third does not. */
static void cpus_of_the_near_node_are_taken(void **state)
{
	static struct topology t = {
		.nr_nodes = 3,
		.nodes = { { 0, GIB(4), GIB(4), CPUS(4), NULL },
			   { 1, GIB(2), GIB(2), CPUS(4), NULL },
			   { 2, GIB(8), GIB(8), CPUS(0), NULL } },
		.distance = { { 10, 21, 14 }, { 21, 10, 24 }, { 14, 24, 10 } },
	};
	struct place_request reqs[] = {
		vm(GIB(1), 2, 2, false),
		vm(GIB(1), 2, 2, false),
		vm(GIB(1), 1, NODE_AUTO, false),
	};
	nodeid_t nodes[3];

	(void)state;
	place(&t, reqs, 3, nodes);
	assert_int_equal(nodes[2], 1);
	place(&t, &reqs[2], 1, nodes);
	assert_int_equal(nodes[0], 0);
}

/* 2.5 GiB for node 0, which has 1: the rest is on 2, then on 3. */
static void spilt_memory_is_the_neighbours(void **state)
{
	struct topology t = four;
	struct place_request reqs[] = {
		vm(GIB(2) + MIB(512), 1, 0, false),
		vm(MIB(512), 1, NODE_AUTO, false),
		vm(MIB(513), 1, NODE_AUTO, true),
	};
	nodeid_t nodes[3];

	(void)state;
	t.distance[0][0] = 10;
	t.distance[0][1] = 41;
	t.distance[0][2] = 21;
	t.distance[0][3] = 31;
	place(&t, reqs, 3, nodes);
	assert_int_equal(nodes[0], 0);
	assert_int_equal(nodes[2], 1); /* strict goes first */
	assert_int_equal(nodes[1], 3);
}

static void strict_must_fit(void **state)
{
	struct place_request big = vm(GIB(2), 1, 1, true);
	struct place_request any = vm(GIB(2), 1, NODE_AUTO, true);
	struct place_request two[] = {
		vm(MIB(600), 1, 3, true),
		vm(MIB(600), 1, 3, true),
	};
	struct place_request exact = vm(GIB(1), 1, 1, true);
	nodeid_t node;

	(void)state;
	refuse(&four, &big, 1, -ENOMEM, ST_MEMORY,
	       "vm 'a': 2048 MiB do not fit on node 1, which has 1024 MiB free "
	       "of 1024 MiB (0 MiB go to other VMs of this run); give it less "
	       "memory or another node, leave out 'strict', or insist with "
	       "--overcommit");
	refuse(&four, &any, 1, -ENOMEM, ST_MEMORY,
	       "vm 'a': 2048 MiB do not fit on node 0, which has 1024 MiB free "
	       "of 1024 MiB (0 MiB go to other VMs of this run); give it less "
	       "memory or another node, leave out 'strict', or insist with "
	       "--overcommit");
	two[1].name = "b";
	refuse(&four, two, 2, -ENOMEM, ST_MEMORY,
	       "vm 'b': 600 MiB do not fit on node 3, which has 424 MiB free "
	       "of 1024 MiB (600 MiB go to other VMs of this run); give it "
	       "less memory or another node, leave out 'strict', or insist "
	       "with --overcommit");
	place(&four, &exact, 1, &node);
	assert_int_equal(node, 1);
}

static void unknown_node(void **state)
{
	struct place_request req = vm(GIB(1), 1, 1, false);

	(void)state;
	refuse(&odd, &req, 1, -ENOENT, ST_CONFIG,
	       "vm 'a': no node 1 here; nodes are 0, 2, 5, 9 (or 'auto')");
}

static void no_cpus_anywhere(void **state)
{
	static struct topology none = {
		.nr_nodes = 1,
		.nodes = { { 0, GIB(1), GIB(1), CPUS(0), NULL } },
	};
	struct place_request req = vm(MIB(1), 1, NODE_AUTO, false);

	(void)state;
	refuse(&none, &req, 1, -ENODEV, ST_HOST,
	       "vm 'a': no node has a CPU that this process may run on; check "
	       "taskset(1) and the cgroup");
}

static void nothing_to_place(void **state)
{
	nodeid_t node = -77;

	(void)state;
	place(&four, NULL, 0, &node);
	assert_int_equal(node, -77);
}

/* --- wide VMs --- */

static struct place_request wide(uint64_t bytes, unsigned nr_vcpus,
				 const char *nodes)
{
	struct place_request r = vm(bytes, nr_vcpus, NODE_AUTO, false);

	assert_int_equal(node_list_parse(nodes, &r.wide), 0);
	return r;
}

static void the_first_is_its_home(void **state)
{
	struct place_request reqs[] = { wide(GIB(1), 4, "2+0-1") };
	nodeid_t nodes[1];

	(void)state;
	place(&four, reqs, 1, nodes);
	assert_int_equal(nodes[0], 2);
}

/* 5 vCPUs: two on node 0, one on each of the others; a quarter of the memory. */
static void each_node_is_charged_its_part(void **state)
{
	struct place_request reqs[] = {
		wide(MIB(2048), 5, "0-3"),
		vm(MIB(256), 1, NODE_AUTO, false),
		vm(MIB(256), 1, NODE_AUTO, false),
		vm(MIB(256), 1, NODE_AUTO, false),
		vm(MIB(300), 1, NODE_AUTO, true),
	};
	nodeid_t nodes[5];

	(void)state;
	place(&four, reqs, 5, nodes);
	assert_int_equal(nodes[0], 0);
	/* Strict first: all have half free, and node 1 the fewest vCPUs. */
	assert_int_equal(nodes[4], 1);
	assert_int_equal(nodes[1], 2);
	assert_int_equal(nodes[2], 3);
	assert_int_equal(nodes[3], 0);
	reqs[4] = vm(MIB(600), 1, 3, true);
	/* Strict ones come before wide ones. */
	place(&four, reqs, 5, nodes);
	assert_int_equal(nodes[4], 3);
}

static void nodes_that_cannot_be(void **state)
{
	struct place_request r = wide(GIB(1), 4, "0+4");

	(void)state;
	refuse(&four, &r, 1, -ENOENT, ST_CONFIG,
	       "vm 'a': no node 4 here; nodes are 0, 1, 2, 3 (or 'auto')");
	r = wide(GIB(1), 4, "0+2");
	refuse(&odd, &r, 1, -ENODEV, ST_CONFIG,
	       "vm 'a': node 2 has no CPUs for its virtual CPUs; leave it out "
	       "of 'nodes'");
	r = wide(GIB(1), 4, "9+5");
	refuse(&odd, &r, 1, -ENOMEM, ST_MEMORY,
	       "vm 'a': node 5 has no memory; give it another node");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(four_use_all_four),
		cmocka_unit_test(vcpus_a_cpu_then_memory),
		cmocka_unit_test(auto_goes_around_explicit),
		cmocka_unit_test(never_without_cpus_nor_room),
		cmocka_unit_test(room_goes_before_load),
		cmocka_unit_test(too_large_takes_the_most_room),
		cmocka_unit_test(promised_memory_is_no_room),
		cmocka_unit_test(explicit_is_kept),
		cmocka_unit_test(nobody_lives_without_memory),
		cmocka_unit_test(full_is_better_than_memory_less),
		cmocka_unit_test(cpus_of_the_near_node_are_taken),
		cmocka_unit_test(spilt_memory_is_the_neighbours),
		cmocka_unit_test(strict_must_fit),
		cmocka_unit_test(unknown_node),
		cmocka_unit_test(no_cpus_anywhere),
		cmocka_unit_test(nothing_to_place),
		cmocka_unit_test(the_first_is_its_home),
		cmocka_unit_test(each_node_is_charged_its_part),
		cmocka_unit_test(nodes_that_cannot_be),
	};

	return cmocka_run_group_tests_name("place", tests, NULL, NULL);
}
