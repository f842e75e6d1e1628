/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * 2000 machines that nobody would build, by hwloc: 1 to 16 nodes, any number
 * of CPUs and any memory on each, also none, any distances. Whatever is asked
 * for there, placement and balance keep what their headers promise.
 *
 * DISCO_SEED=N runs machine N alone; a failure says its number.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <hwloc.h>

#include "numa/place.h"
#include "tests/unit/numa/machine.h"
#include "tests/unit/support.h"

#define MACHINES  2000u
#define MAX_VMS	  32
#define MAX_CPUS  6 /* of a package */
#define MAX_CHECK 400u

static struct topology topo;
static uint32_t state32;
static char label[32];

static uint32_t dice(uint32_t sides)
{
	state32 = state32 * 1664525u + 1013904223u;
	return (uint32_t)(((uint64_t)(state32 >> 8) * sides) >> 24);
}

static int reset(void **state)
{
	(void)state;
	machine_reset(&topo);
	return 0;
}

/* --- the machine --- */

/* What hwloc will have is at least one CPU; nodes may lose all of theirs. */
static void drop_cpus(hwloc_topology_t hw)
{
	hwloc_bitmap_t keep =
		hwloc_bitmap_dup(hwloc_topology_get_topology_cpuset(hw));
	hwloc_obj_t node = NULL;
	unsigned cpu;

	assert_non_null(keep);
	while ((node = hwloc_get_next_obj_by_type(hw, HWLOC_OBJ_NUMANODE,
						  node)))
		if (dice(5) == 0)
			hwloc_bitmap_andnot(keep, keep, node->cpuset);
	hwloc_bitmap_foreach_begin(cpu, hwloc_topology_get_topology_cpuset(hw))
	{
		if (dice(4) == 0)
			hwloc_bitmap_clr(keep, cpu);
	}
	hwloc_bitmap_foreach_end();
	if (hwloc_bitmap_iszero(keep))
		hwloc_bitmap_set(keep, 0);
	assert_int_equal(hwloc_topology_restrict(hw, keep, 0), 0);
	hwloc_bitmap_free(keep);
}

static void change_memory(hwloc_topology_t hw)
{
	hwloc_obj_t node = NULL;

	while ((node = hwloc_get_next_obj_by_type(hw, HWLOC_OBJ_NUMANODE,
						  node)))
		node->attr->numanode.local_memory =
			dice(5) ? MIB(1 + dice(1u << dice(15))) : 0;
}

static void change_distances(hwloc_topology_t hw)
{
	uint64_t values[16 * 16];
	unsigned nr =
		(unsigned)hwloc_get_nbobjs_by_type(hw, HWLOC_OBJ_NUMANODE);

	if (nr < 2 || nr > 16)
		return;
	for (unsigned i = 0; i < nr * nr; i++)
		values[i] = i % (nr + 1) ? 11 + dice(40) : 10;
	machine_distances(hw, nr, values);
}

/* Nodes on packages; or two on each; or one for all of them besides. */
static void random_text(char *text, size_t size)
{
	static const char *const shapes[] = {
		"pack:%u [numa] core:%u pu:1",
		"pack:%u [numa] [numa] core:%u pu:1",
		"[numa] pack:%u [numa] core:%u pu:1",
	};
	static const unsigned most[] = { 16, 8, 15 };
	unsigned shape = dice(4) ? 0 : 1 + dice(2);

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	(void)snprintf(text, size, shapes[shape], 1 + dice(most[shape]),
		       1 + dice(MAX_CPUS));
#pragma GCC diagnostic pop
}

static void random_machine(uint32_t seed)
{
	int fd = memfd_create("machine", MFD_CLOEXEC);
	char path[32], text[64];
	hwloc_topology_t hw;

	assert_true(fd >= 0);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	state32 = seed * 2654435761u;
	(void)snprintf(label, sizeof(label), "DISCO_SEED=%u", seed);
	random_text(text, sizeof(text));
	assert_int_equal(hwloc_topology_init(&hw), 0);
	assert_int_equal(hwloc_topology_set_synthetic(hw, text), 0);
	assert_int_equal(hwloc_topology_load(hw), 0);
	drop_cpus(hw);
	change_memory(hw);
	if (dice(4))
		change_distances(hw);
	assert_int_equal(hwloc_topology_export_xml(hw, path, 0), 0);
	hwloc_topology_destroy(hw);
	machine_xml(&topo, path);
	(void)close(fd);
	for (unsigned i = 0; i < topo.nr_nodes; i++)
		topo.nodes[i].free_bytes >>= dice(3);
}

/* --- placement --- */

static const struct topology_node *usable(nodeid_t id)
{
	const struct topology_node *n = topology_find(&topo, id);

	return n && n->nr_cpus && n->total_bytes ? n : NULL;
}

static unsigned nr_usable(void)
{
	unsigned nr = 0;

	for (unsigned i = 0; i < topo.nr_nodes; i++)
		nr += usable(topo.nodes[i].id) != NULL;
	return nr;
}

static unsigned random_requests(struct place_request *reqs)
{
	unsigned nr = dice(MAX_VMS + 1), asked = dice(2) ? 8 : 0;

	for (unsigned i = 0; i < nr; i++) {
		bool ask = asked && dice(asked) == 0;

		reqs[i] = (struct place_request){
			.name = "vm",
			.bytes = MIB(1 + dice(1u << dice(13))),
			.nr_vcpus = 1 + dice(8),
			.node = ask ? (nodeid_t)dice(topo.nr_nodes + 1)
				    : NODE_AUTO,
			.strict = asked && dice(8) == 0,
		};
	}
	return nr;
}

/* Strict ones have what they asked for; auto is where it may be. */
static void check_placed(const struct place_request *reqs, unsigned nr,
			 const nodeid_t *nodes)
{
	for (unsigned i = 0; i < nr; i++) {
		const struct topology_node *n = topology_find(&topo, nodes[i]);

		if (reqs[i].node == NODE_AUTO ? !usable(nodes[i])
					      : nodes[i] != reqs[i].node)
			fail_msg("%s: VM %u is on node %d", label, i, nodes[i]);
		if (!n || !n->total_bytes)
			fail_msg("%s: VM %u has no memory", label, i);
	}
	for (unsigned k = 0; k < topo.nr_nodes; k++) {
		uint64_t strict = 0;

		for (unsigned i = 0; i < nr; i++)
			if (reqs[i].strict && nodes[i] == topo.nodes[k].id)
				strict += reqs[i].bytes;
		if (strict > topo.nodes[k].free_bytes)
			fail_msg("%s: node %d is promised twice", label,
				 topo.nodes[k].id);
	}
}

/* Only for the reason it gives; nothing is said about where. */
static void check_refused(const struct place_request *reqs, unsigned nr,
			  const nodeid_t *nodes, int err)
{
	bool reason = false;

	for (unsigned i = 0; i < nr; i++) {
		const struct place_request *r = &reqs[i];
		const struct topology_node *n = topology_find(&topo, r->node);

		assert_int_equal(nodes[i], -77);
		if (r->node == NODE_AUTO)
			reason |= err == -ENODEV ? !nr_usable()
						 : err == -ENOMEM && r->strict;
		else
			reason |= n ? err == -ENOMEM &&
						  (r->strict || !n->total_bytes)
				    : err == -ENOENT;
	}
	if (!reason)
		fail_msg("%s: refused by %d without a reason", label, err);
}

/* Return: how many were placed. */
static unsigned place(struct place_request *reqs, nodeid_t *nodes,
		      unsigned *refused)
{
	unsigned nr = random_requests(reqs);
	struct diag d = { 0 };
	int err;

	for (unsigned i = 0; i < nr; i++)
		nodes[i] = -77;
	err = place_initial(&topo, reqs, nr, nodes, &d);
	if (!err) {
		check_placed(reqs, nr, nodes);
		return nr;
	}
	check_refused(reqs, nr, nodes, err);
	*refused += 1;
	return 0;
}

/* --- balance --- */

static uint32_t random_load(unsigned nr_vcpus)
{
	return dice(3) ? dice(nr_vcpus * BALANCE_CPU + 1) : dice(150);
}

/* Those that were placed, and some that are where nobody would put them. */
static unsigned random_vms(const struct place_request *reqs,
			   const nodeid_t *nodes, unsigned nr,
			   struct balance_vm *vms)
{
	bool heap = dice(2); /* all on a few nodes */

	if (nr == 0)
		nr = dice(MAX_VMS + 1);
	for (unsigned i = 0; i < nr; i++) {
		nodeid_t any = topo.nodes[dice(heap ? 1 + topo.nr_nodes / 4
						    : topo.nr_nodes)]
				       .id;
		bool stray = heap || nodes[i] < 0;

		vms[i] = (struct balance_vm){
			.id = i + 1,
			.node = stray ? any : nodes[i],
			.load = random_load(1 + dice(8)),
			.pages = dice(1u << dice(19)),
			.rested = dice(2) ? UINT32_MAX : dice(10),
			.fixed = !stray && reqs[i].node != NODE_AUTO
					 ? true
					 : dice(10) == 0,
			.paused = dice(16) == 0,
			.moving = dice(32) == 0,
		};
	}
	return nr;
}

static unsigned balance(struct balance_vm *vms, unsigned nr)
{
	unsigned moves =
		machine_balance(&topo, vms, nr, MAX_CHECK, label, NULL, NULL);

	if (moves > nr + topo.nr_nodes)
		fail_msg("%s: %u moves of %u VMs", label, moves, nr);
	/* At rest means: never again, whatever is asked of it. */
	assert_int_equal(machine_balance(&topo, vms, nr, 0, label, NULL, NULL),
			 0);
	return moves;
}

/* --- all of it --- */

struct sums {
	unsigned cpu_less, memory_less, nowhere, placed, refused, moves, most;
};

static void one(uint32_t seed, struct sums *sum)
{
	struct place_request reqs[MAX_VMS];
	struct balance_vm vms[MAX_VMS];
	nodeid_t nodes[MAX_VMS];
	unsigned nr, moves;

	for (unsigned i = 0; i < MAX_VMS; i++)
		nodes[i] = -77;
	random_machine(seed);
	assert_in_range(topo.nr_nodes, 1, 16);
	for (unsigned i = 0; i < topo.nr_nodes; i++) {
		sum->cpu_less += !topo.nodes[i].nr_cpus;
		sum->memory_less += !topo.nodes[i].total_bytes;
	}
	sum->nowhere += !nr_usable();
	nr = place(reqs, nodes, &sum->refused);
	sum->placed += nr;
	nr = random_vms(reqs, nodes, nr, vms);
	moves = balance(vms, nr);
	sum->moves += moves;
	sum->most = moves > sum->most ? moves : sum->most;
}

static void promises_are_kept_anywhere(void **state)
{
	const char *seed = getenv("DISCO_SEED");
	struct sums s = { 0 };

	(void)state;
	if (seed) {
		one((uint32_t)strtoul(seed, NULL, 10), &s);
		return;
	}
	for (uint32_t i = 0; i < MACHINES; i++)
		one(i, &s);
	print_message("# %u machines: %u CPU-less and %u memory-less nodes, "
		      "%u where nothing can run; %u VMs placed, %u refused; "
		      "%u moves, %u at most\n",
		      MACHINES, s.cpu_less, s.memory_less, s.nowhere, s.placed,
		      s.refused, s.moves, s.most);
	/* They were worth trying. */
	assert_true(s.cpu_less > MACHINES && s.memory_less > MACHINES);
	assert_true(s.nowhere > 50 && s.refused > 100);
	assert_true(s.placed > MACHINES && s.moves > MACHINES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(promises_are_kept_anywhere, reset),
	};

	return cmocka_run_group_tests_name("random machines", tests, NULL,
					   NULL);
}
