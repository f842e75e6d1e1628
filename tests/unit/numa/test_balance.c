/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which VM is moved where, on machines described by HWLOC_SYNTHETIC; then a
 * simulation: from any start it comes to rest.
 */
#include <stdlib.h>
#include <string.h>

#include "numa/balance.h"
#include "tests/unit/support.h"

#define NEVER UINT32_MAX
static struct topology topo;

static struct balance_vm busy(uint64_t id, nodeid_t node, uint64_t pages)
{
	return (struct balance_vm){ .id = id,
				    .node = node,
				    .load = BALANCE_CPU,
				    .pages = pages,
				    .rested = NEVER };
}

static void load(const char *synthetic)
{
	struct diag d = { 0 };

	(void)setenv("HWLOC_SYNTHETIC", synthetic, 1);
	topology_destroy(&topo);
	if (topology_create(&topo, &d))
		fail_msg("'%s': %s", synthetic, d.text);
}

static int reset(void **state)
{
	(void)state;
	topology_destroy(&topo);
	(void)unsetenv("HWLOC_SYNTHETIC");
	return 0;
}

/* What two checks in a row make of it: the VM that moves, and where; id 0. */
static struct balance_move twice(const struct balance_vm *vms, unsigned nr)
{
	struct balance_move last = { 0 }, out = { 0 };

	assert_false(balance_check(&topo, vms, nr, &last, &out));
	assert_int_equal(out.id, 0);
	if (last.id)
		assert_true(balance_check(&topo, vms, nr, &last, &out));
	return out;
}

static void stays(const struct balance_vm *vms, unsigned nr)
{
	assert_int_equal(twice(vms, nr).id, 0);
}

static void moves(const struct balance_vm *vms, unsigned nr, uint64_t id,
		  nodeid_t to)
{
	struct balance_move m = twice(vms, nr);

	assert_int_equal(m.id, id);
	assert_int_equal(m.to, to);
}

/* --- which one --- */

static void nothing_to_do(void **state)
{
	struct balance_vm vms[3] = { busy(1, 0, 100), busy(2, 1, 100),
				     busy(3, 1, 100) };

	(void)state;
	load("numa:1 pu:2");
	stays(NULL, 0);
	stays(vms, 1);
	vms[1].node = vms[2].node = 0;
	stays(vms, 3);
	load("numa:2 pu:2");
	stays(vms, 1); /* one more here than there: a move would swap that */
	vms[2].node = 1;
	stays(vms, 3);
}

static void the_cheapest_moves_to_the_emptiest(void **state)
{
	struct balance_vm vms[] = { busy(1, 0, 50000), busy(2, 0, 9000),
				    busy(3, 0, 20000), busy(4, 1, 10) };

	(void)state;
	load("numa:3 pu:2");
	moves(vms, 4, 2, 2);
	vms[1].pages = 30000;
	moves(vms, 4, 3, 2);
	/* Twice the pages, but more than twice the gain. */
	vms[2].load = BALANCE_CPU / 4;
	vms[1].pages = 40000;
	vms[0].pages = 90000;
	moves(vms, 4, 2, 2);
}

static void idle_ones_stay(void **state)
{
	struct balance_vm vms[6];

	(void)state;
	load("numa:2 pu:1");
	for (unsigned i = 0; i < 6; i++) {
		vms[i] = busy(i + 1, 0, 10);
		vms[i].load = BALANCE_BUSY - 1;
	}
	stays(vms, 6);
	vms[4].load = BALANCE_BUSY;
	moves(vms, 6, 5, 1);
}

/* Its vCPUs weigh where they are, and it stays. */
static void wide_ones_weigh_on_each_node(void **state)
{
	struct balance_part parts[] = { { 0, 0 },
					{ 1, 2 * BALANCE_CPU },
					{ 7, BALANCE_CPU } };
	struct balance_vm vms[] = { busy(1, 0, 10), busy(2, 0, 10),
				    busy(3, 0, 10) };

	(void)state;
	load("numa:2 pu:2");
	/* A third busy CPU on node 0, whose node 1 is idle. */
	vms[2].pages = 5;
	moves(vms, 3, 3, 1);
	/* The same load in parts, all of which are elsewhere. */
	vms[2].parts = parts;
	vms[2].nr_parts = ARRAY_SIZE(parts);
	assert_int_equal(balance_load(&topo, vms, 3, 0), BALANCE_CPU);
	assert_int_equal(balance_load(&topo, vms, 3, 1), BALANCE_CPU);
	stays(vms, 3);
	/* Node 1 is idle again, but only others may go there. */
	parts[0].load = 2 * BALANCE_CPU;
	parts[1].load = 0;
	assert_int_equal(balance_load(&topo, vms, 3, 0), 2 * BALANCE_CPU);
	assert_int_equal(balance_load(&topo, vms, 3, 1), 0);
	moves(vms, 3, 1, 1);
	vms[0].fixed = vms[1].fixed = true;
	stays(vms, 3);
}

static void some_are_never_moved(void **state)
{
	struct balance_vm vms[] = { busy(1, 0, 10), busy(2, 0, 10) };

	(void)state;
	load("numa:2 pu:2");
	moves(vms, 2, 1, 1);
	vms[0].fixed = true;
	moves(vms, 2, 2, 1);
	vms[1].paused = true;
	stays(vms, 2);
	vms[1].paused = false;
	vms[1].moving = true;
	stays(vms, 2);
	vms[1].moving = false;
	vms[1].rested = BALANCE_REST - 1;
	stays(vms, 2);
	vms[1].rested = BALANCE_REST;
	moves(vms, 2, 2, 1);
}

/* A full node of which nothing can move does not hide another one. */
static void what_cannot_be_relieved_is_left(void **state)
{
	struct balance_vm vms[6];

	(void)state;
	load("numa:3 pu:1");
	for (unsigned i = 0; i < 6; i++)
		vms[i] = busy(i + 1, i < 4 ? 0 : 1, 10);
	for (unsigned i = 0; i < 4; i++)
		vms[i].fixed = true;
	moves(vms, 6, 5, 2);
	/* The fullest that can be relieved comes first. */
	vms[3].fixed = false;
	vms[3].pages = 100000;
	moves(vms, 6, 4, 2);
}

static void a_target_needs_room(void **state)
{
	struct balance_vm vms[] = { busy(1, 0, 90000), busy(2, 0, 90000) };

	(void)state;
	load("numa:3(memory=1073741824) pu:1");
	topo.nodes[1].free_bytes = MIB(300);
	moves(vms, 2, 1, 2);
	topo.nodes[2].free_bytes = MIB(380); /* the VM, but no reserve */
	stays(vms, 2);
	vms[1].pages = 60000;
	moves(vms, 2, 2, 1);
	topo.nodes[1].free_bytes = topo.nodes[2].free_bytes = MIB(10);
	stays(vms, 2);
}

static void near_is_better_among_equals(void **state)
{
	struct balance_vm vms[] = { busy(1, 0, 10), busy(2, 0, 10) };

	(void)state;
	load("numa:4 pu:1");
	topo.distance[0][1] = 40;
	topo.distance[0][2] = 30;
	topo.distance[0][3] = 21;
	moves(vms, 2, 1, 3);
}

static void small_nodes_are_full_sooner(void **state)
{
	struct balance_vm vms[8];

	(void)state;
	load("numa:2 pu:8");
	topo.nodes[1].nr_cpus = 2;
	for (unsigned i = 0; i < 8; i++)
		vms[i] = busy(i + 1, i < 5 ? 0 : 1, 10);
	moves(vms, 8, 6, 0); /* 5 of 8, 3 of 2 */
	vms[5].node = 0;
	stays(vms, 8); /* 6 of 8, 2 of 2: two more would be 8 of 8, 0 of 2 */
}

/* --- odd nodes --- */

static void nodes_without_cpus_or_memory(void **state)
{
	struct balance_vm vms[] = { busy(1, 0, 10), busy(2, 0, 10),
				    busy(3, 0, 10) };
	unsigned far = 0;

	(void)state;
	load("[numa(memory=1073741824)] pack:2 "
	     "[numa(memory=1073741824)] pu:2");
	while (topo.nodes[far].nr_cpus)
		far++;
	for (unsigned i = 0; i < 3; i++)
		vms[i].node = topo.nodes[far == 0].id;
	/* Two nodes have CPUs: it is the other one, not the one without. */
	assert_int_not_equal(twice(vms, 3).to, topo.nodes[far].id);
	assert_int_equal(twice(vms, 3).id, 1);
	/* On a node without CPUs they run on the nearest that has some. */
	for (unsigned i = 0; i < 3; i++)
		vms[i].node = topo.nodes[far].id;
	assert_int_equal(twice(vms, 3).id, 1);
	assert_ptr_not_equal(topology_find(&topo, twice(vms, 3).to),
			     topology_cpus_near(&topo, topo.nodes[far].id));
	assert_int_equal(balance_load(&topo, vms, 3, topo.nodes[far].id), 0);
	/* No memory: nothing goes there, but what runs there can leave. */
	load("numa:2 pu:1");
	topo.nodes[1].total_bytes = topo.nodes[1].free_bytes = 0;
	for (unsigned i = 0; i < 3; i++)
		vms[i].node = 0;
	stays(vms, 3);
	for (unsigned i = 0; i < 3; i++)
		vms[i].node = 1;
	moves(vms, 3, 1, 0);
	/* Gone: its VMs are nobody's load. */
	for (unsigned i = 0; i < 3; i++)
		vms[i].node = 77;
	stays(vms, 3);
	assert_int_equal(balance_load(&topo, vms, 3, 77), 0);
}

static void numbers_may_have_gaps(void **state)
{
	struct balance_vm vms[] = { busy(1, 7, 10), busy(2, 7, 10) };

	(void)state;
	load("numa:2(indexes=7,3) pu:1");
	moves(vms, 2, 1, 3);
	assert_int_equal(balance_load(&topo, vms, 2, 7), 2 * BALANCE_CPU);
}

/* --- two checks --- */

static void two_checks_have_to_agree(void **state)
{
	struct balance_vm vms[] = { busy(1, 0, 10), busy(2, 0, 10) };
	struct balance_move last = { 0 }, out = { 0 };

	(void)state;
	load("numa:2 pu:1");
	assert_false(balance_check(&topo, vms, 2, &last, &out));
	assert_int_equal(last.id, 1);
	vms[0].load = vms[1].load = BALANCE_CPU / 10; /* it was a moment */
	assert_false(balance_check(&topo, vms, 2, &last, &out));
	assert_int_equal(last.id, 0);
	vms[0].load = vms[1].load = BALANCE_CPU;
	assert_false(balance_check(&topo, vms, 2, &last, &out));
	/* Another one is cheaper now: no reason to begin again. */
	vms[1].pages = 1;
	assert_true(balance_check(&topo, vms, 2, &last, &out));
	assert_int_equal(out.id, 1);
	assert_int_equal(out.to, 1);
	assert_int_equal(last.id, 0);
	/* It is gone: begin again with the other. */
	last = out;
	vms[0].id = 3;
	assert_false(balance_check(&topo, vms, 2, &last, &out));
	assert_int_equal(last.id, 2);
}

/* --- simulation --- */

#define SIM_VMS	   48
#define SIM_CHECKS 1200
#define SIM_QUIET  200 /* at the end */

static uint32_t seed;

static uint32_t dice(uint32_t sides)
{
	seed = seed * 1664525u + 1013904223u;
	return (uint32_t)(((uint64_t)(seed >> 8) * sides) >> 24);
}

static void random_machine(void)
{
	unsigned n = 1 + dice(16);
	char text[96];

	(void)snprintf(text, sizeof(text), "numa:%u(memory=4294967296) pu:%u",
		       n, 1 + dice(8));
	load(text);
	for (unsigned i = 0; n > 1 && i < n; i++) {
		if (dice(8) == 0)
			topo.nodes[i].nr_cpus = 0;
		if (dice(8) == 0)
			topo.nodes[i].total_bytes = 0;
		topo.nodes[i].free_bytes =
			min_u64(topo.nodes[i].total_bytes, MIB(64) << dice(6));
	}
}

static unsigned random_vms(struct balance_vm *vms)
{
	unsigned nr = dice(SIM_VMS + 1);

	for (unsigned i = 0; i < nr; i++)
		vms[i] = (struct balance_vm){
			.id = i + 1,
			.node = (nodeid_t)dice(topo.nr_nodes),
			.load = dice(3) ? dice(4 * BALANCE_CPU) : dice(50),
			.pages = 1 + dice(200000),
			.rested = dice(2) ? NEVER : dice(10),
			.fixed = dice(8) == 0,
			.paused = dice(16) == 0,
		};
	return nr;
}

/* Loads as they are measured: up to 3 % off. */
static void measure(const struct balance_vm *truth, struct balance_vm *seen,
		    unsigned nr, bool noise)
{
	memcpy(seen, truth, nr * sizeof(*seen));
	for (unsigned i = 0; noise && i < nr; i++)
		seen[i].load = truth[i].load * (970 + dice(61)) / 1000;
}

static void apply(struct balance_vm *vms, unsigned nr,
		  const struct balance_move *m)
{
	for (unsigned i = 0; i < nr; i++) {
		struct topology_node *to, *from;

		if (vms[i].id != m->id)
			continue;
		to = (struct topology_node *)(uintptr_t)topology_find(&topo,
								      m->to);
		from = (struct topology_node *)(uintptr_t)topology_find(
			&topo, vms[i].node);
		assert_false(vms[i].fixed || vms[i].paused);
		assert_true(vms[i].rested >= BALANCE_REST);
		assert_true(to->nr_cpus && to != from &&
			    to->free_bytes >= vms[i].pages * PAGE_BYTES);
		to->free_bytes -= vms[i].pages * PAGE_BYTES;
		from->free_bytes =
			min_u64(from->total_bytes,
				from->free_bytes + vms[i].pages * PAGE_BYTES);
		vms[i].node = m->to;
		vms[i].rested = 0;
	}
}

/*
 * Return: moves, of which none came at the end. With noise there may be one:
 * two nodes that are uneven by just the threshold are so only at times.
 */
static unsigned simulate(struct balance_vm *vms, unsigned nr, bool noise)
{
	struct balance_vm seen[SIM_VMS];
	struct balance_move last = { 0 }, m;
	unsigned total = 0, late = 0;

	for (unsigned check = 0; check < SIM_CHECKS; check++) {
		measure(vms, seen, nr, noise);
		for (unsigned i = 0; i < nr; i++)
			vms[i].rested += vms[i].rested != NEVER;
		if (!balance_check(&topo, seen, nr, &last, &m))
			continue;
		late += check >= SIM_CHECKS - SIM_QUIET;
		if (late > noise)
			fail_msg("seed %u: still moves VM %u to %d", seed,
				 (unsigned)m.id, m.to);
		apply(vms, nr, &m);
		total++;
	}
	return total;
}

static void any_start_comes_to_rest(void **state)
{
	unsigned most = 0, sum = 0;

	(void)state;
	for (unsigned i = 0; i < 400; i++) {
		struct balance_vm vms[SIM_VMS];
		unsigned nr, total;

		seed = i;
		random_machine();
		nr = random_vms(vms);
		total = simulate(vms, nr, i % 2);
		if (total > nr) /* a VM may move twice, but most do not */
			fail_msg("machine %u: %u moves of %u VMs", i, total,
				 nr);
		most = total > most ? total : most;
		sum += total;
	}
	assert_true(sum > 400); /* it was no quiet start */
	print_message("# 400 machines: %u moves, %u at most\n", sum, most);
}

/* The same VM many times: no node has two more, nor an eighth more. */
static void equal_ones_are_dealt_out(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= 16; n++) {
		for (unsigned nr = 1; nr <= SIM_VMS; nr += 5) {
			struct balance_vm vms[SIM_VMS];
			unsigned on[16] = { 0 }, low = SIM_VMS, high = 0;
			char text[64];

			(void)snprintf(text, sizeof(text),
				       "numa:%u(memory=68719476736) pu:2", n);
			load(text);
			seed = nr;
			for (unsigned i = 0; i < nr; i++)
				vms[i] = busy(i + 1, (nodeid_t)dice(n), 1000);
			(void)simulate(vms, nr, false);
			for (unsigned i = 0; i < nr; i++)
				on[vms[i].node]++;
			for (unsigned i = 0; i < n; i++) {
				low = on[i] < low ? on[i] : low;
				high = on[i] > high ? on[i] : high;
			}
			if (high > low + 1 + high / BALANCE_UNEVEN_PART)
				fail_msg("%u VMs, %u nodes: %u to %u", nr, n,
					 low, high);
		}
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_teardown(f, reset)
	const struct CMUnitTest tests[] = {
		TEST(nothing_to_do),
		TEST(the_cheapest_moves_to_the_emptiest),
		TEST(idle_ones_stay),
		TEST(some_are_never_moved),
		TEST(wide_ones_weigh_on_each_node),
		TEST(what_cannot_be_relieved_is_left),
		TEST(a_target_needs_room),
		TEST(near_is_better_among_equals),
		TEST(small_nodes_are_full_sooner),
		TEST(nodes_without_cpus_or_memory),
		TEST(numbers_may_have_gaps),
		TEST(two_checks_have_to_agree),
		TEST(equal_ones_are_dealt_out),
		TEST(any_start_comes_to_rest),
	};

	return cmocka_run_group_tests_name("balance", tests, NULL, NULL);
}
