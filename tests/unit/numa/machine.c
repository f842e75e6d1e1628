/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/numa/machine.h"

#include <stdlib.h>

#include "tests/unit/support.h"

#define FIXTURES "tests/fixtures/topology/"

void machine_fixture(struct topology *t, const char *name)
{
	char path[128];

	(void)snprintf(path, sizeof(path), FIXTURES "%s.xml", name);
	machine_xml(t, path);
}

void machine_xml(struct topology *t, const char *path)
{
	struct diag d = { 0 };

	machine_reset(t);
	(void)setenv("HWLOC_XMLFILE", path, 1);
	if (topology_create(t, &d))
		fail_msg("%s: %s", path, d.text);
	assert_false(t->this_machine);
}

void machine_distances(hwloc_topology_t hw, unsigned nr, uint64_t *values)
{
	hwloc_distances_add_handle_t h;
	hwloc_obj_t objs[16];

	assert_in_range(nr, 1, ARRAY_SIZE(objs));
	for (unsigned i = 0; i < nr; i++)
		objs[i] = hwloc_get_obj_by_type(hw, HWLOC_OBJ_NUMANODE, i);
	h = hwloc_distances_add_create(
		hw, "NUMALatency",
		HWLOC_DISTANCES_KIND_FROM_OS |
			HWLOC_DISTANCES_KIND_MEANS_LATENCY,
		0);
	assert_non_null(h);
	assert_int_equal(hwloc_distances_add_values(hw, h, nr, objs, values, 0),
			 0);
	assert_int_equal(hwloc_distances_add_commit(hw, h, 0), 0);
}

void machine_reset(struct topology *t)
{
	topology_destroy(t);
	(void)unsetenv("HWLOC_XMLFILE");
	(void)unsetenv("HWLOC_SYNTHETIC");
}

uint64_t machine_fullest(const struct topology *t, const struct balance_vm *vms,
			 unsigned nr)
{
	uint64_t most = 0;

	for (unsigned i = 0; i < t->nr_nodes; i++)
		most = max_u64(most, balance_load(t, vms, nr, t->nodes[i].id));
	return most;
}

static struct topology_node *node(struct topology *t, nodeid_t id)
{
	for (unsigned i = 0; i < t->nr_nodes; i++)
		if (t->nodes[i].id == id)
			return &t->nodes[i];
	return NULL;
}

static struct balance_vm *find(struct balance_vm *vms, unsigned nr, uint64_t id,
			       const char *label)
{
	for (unsigned i = 0; i < nr; i++)
		if (vms[i].id == id)
			return &vms[i];
	fail_msg("%s: there is no VM %u to move", label, (unsigned)id);
	return NULL;
}

static void apply(struct topology *t, struct balance_vm *vm, nodeid_t to,
		  const char *label)
{
	struct topology_node *a = node(t, vm->node), *b = node(t, to);
	uint64_t bytes = vm->pages * PAGE_BYTES;

	if (vm->fixed || vm->paused || vm->moving)
		fail_msg("%s: moves VM %u, which has to stay", label,
			 (unsigned)vm->id);
	if (vm->rested < BALANCE_REST)
		fail_msg("%s: moves VM %u again at once", label,
			 (unsigned)vm->id);
	if (!a || !b || a == b || !b->nr_cpus || !b->total_bytes ||
	    b->free_bytes < bytes)
		fail_msg("%s: moves VM %u to node %d, which cannot have it",
			 label, (unsigned)vm->id, to);
	b->free_bytes -= bytes;
	a->free_bytes = min_u64(a->total_bytes, a->free_bytes + bytes);
	vm->node = to;
	vm->rested = 0;
}

static bool check(struct topology *t, struct balance_vm *vms, unsigned nr,
		  struct balance_move *last, const char *label,
		  struct balance_vm **moved)
{
	uint64_t before = machine_fullest(t, vms, nr);
	struct balance_move m;

	for (unsigned i = 0; i < nr; i++)
		vms[i].rested += vms[i].rested != UINT32_MAX;
	if (!balance_check(t, vms, nr, last, &m))
		return false;
	*moved = find(vms, nr, m.id, label);
	apply(t, *moved, m.to, label);
	if (machine_fullest(t, vms, nr) > before)
		fail_msg("%s: VM %u makes node %d the fullest one", label,
			 (unsigned)m.id, m.to);
	return true;
}

unsigned machine_balance(struct topology *t, struct balance_vm *vms,
			 unsigned nr, unsigned checks, const char *label,
			 void (*moved)(void *arg, const struct balance_vm *vm),
			 void *arg)
{
	struct balance_move last = { 0 };
	unsigned moves = 0, quiet = 0;

	for (unsigned i = 0; quiet < MACHINE_QUIET; i++) {
		struct balance_vm *vm;

		quiet++;
		if (!check(t, vms, nr, &last, label, &vm))
			continue;
		if (i >= checks)
			fail_msg("%s: moves VMs after %u checks", label, i);
		quiet = 0;
		moves++;
		if (moved)
			moved(arg, vm);
	}
	return moves;
}
