/* SPDX-License-Identifier: BSD-2-Clause */
#include "numa/topology.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <hwloc.h>

/*
 * Lines of /sys/devices/system/node/nodeN/meminfo that count memory which a new
 * guest can get without swapping.
 */
static const char *const reclaimable[] = {
	"MemFree:",
	"Active(file):",
	"Inactive(file):",
	"SReclaimable:",
};

static uint64_t free_line_bytes(const char *line)
{
	char key[64];
	uint64_t kib;

	if (sscanf(line, "Node %*d %63s %" SCNu64, key, &kib) != 2)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(reclaimable); i++)
		if (strcmp(key, reclaimable[i]) == 0)
			return KIB(kib);
	return 0;
}

uint64_t node_free_bytes(nodeid_t id, uint64_t total_bytes)
{
	char path[64], line[128];
	uint64_t sum = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path),
		       "/sys/devices/system/node/node%d/meminfo", id);
	f = fopen(path, "re");
	if (!f)
		return total_bytes;
	while (fgets(line, sizeof(line), f))
		sum += free_line_bytes(line);
	(void)fclose(f);
	return min_u64(sum, total_bytes);
}

/*
 * Of two nodes that hwloc calls local to a CPU, the nearer one has fewer local
 * CPUs, and among equals the lower number.
 */
static bool topology_nearer(hwloc_obj_t a, hwloc_obj_t b)
{
	int wa = hwloc_bitmap_weight(a->cpuset);
	int wb = hwloc_bitmap_weight(b->cpuset);

	return wa != wb ? wa < wb : a->os_index < b->os_index;
}

/* The one node that @cpu belongs to; NULL: hwloc names none. */
static hwloc_obj_t cpu_owner(hwloc_topology_t hw, unsigned cpu)
{
	hwloc_obj_t best = NULL, node = NULL;

	while ((node = hwloc_get_next_obj_by_type(hw, HWLOC_OBJ_NUMANODE,
						  node)))
		if (hwloc_bitmap_isset(node->cpuset, cpu) &&
		    (!best || topology_nearer(node, best)))
			best = node;
	return best;
}

static int node_fill_cpus(struct topology_node *n, hwloc_topology_t hw,
			  hwloc_obj_t obj, hwloc_const_cpuset_t usable)
{
	int weight = hwloc_bitmap_weight(obj->cpuset);
	unsigned cpu;

	if (weight <= 0)
		return 0;
	n->cpus = calloc((size_t)weight, sizeof(*n->cpus));
	if (!n->cpus)
		return -ENOMEM;
	hwloc_bitmap_foreach_begin(cpu, obj->cpuset)
	{
		if (cpu <= UINT16_MAX && hwloc_bitmap_isset(usable, cpu) &&
		    cpu_owner(hw, cpu) == obj)
			n->cpus[n->nr_cpus++] = (uint16_t)cpu;
	}
	hwloc_bitmap_foreach_end();
	return 0;
}

/* CPUs of the topology that the scheduler lets this process use. */
static hwloc_bitmap_t usable_cpus(hwloc_topology_t hw, bool this_machine)
{
	hwloc_bitmap_t set = hwloc_bitmap_alloc();
	hwloc_const_cpuset_t allowed = hwloc_topology_get_allowed_cpuset(hw);

	if (!set)
		return NULL;
	if (this_machine &&
	    hwloc_get_cpubind(hw, set, HWLOC_CPUBIND_PROCESS) == 0)
		hwloc_bitmap_and(set, set, allowed);
	else
		hwloc_bitmap_copy(set, allowed);
	return set;
}

static int by_id(const void *a, const void *b)
{
	const struct topology_node *na = a, *nb = b;

	return (na->id > nb->id) - (na->id < nb->id);
}

static int fill_nodes(struct topology *t, hwloc_topology_t hw,
		      hwloc_const_cpuset_t usable, struct diag *d)
{
	hwloc_obj_t obj = NULL;

	while ((obj = hwloc_get_next_obj_by_type(hw, HWLOC_OBJ_NUMANODE,
						 obj))) {
		struct topology_node *n = &t->nodes[t->nr_nodes];

		if (t->nr_nodes == MAX_NODES)
			return diag_fail(d, ST_HOST, E2BIG,
					 "more than %d NUMA nodes", MAX_NODES);
		t->nr_nodes++;
		n->id = (nodeid_t)obj->os_index;
		n->total_bytes = obj->attr->numanode.local_memory;
		n->free_bytes = n->total_bytes;
		if (t->this_machine)
			n->free_bytes = node_free_bytes(n->id, n->total_bytes);
		if (node_fill_cpus(n, hw, obj, usable))
			return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	}
	if (t->nr_nodes == 0)
		return diag_fail(d, ST_HOST, ENODEV,
				 "hwloc finds no NUMA node; see lstopo(1)");
	qsort(t->nodes, t->nr_nodes, sizeof(t->nodes[0]), by_id);
	return 0;
}

static void default_distances(struct topology *t)
{
	for (unsigned i = 0; i < t->nr_nodes; i++)
		for (unsigned j = 0; j < t->nr_nodes; j++)
			t->distance[i][j] = i == j ? DISTANCE_LOCAL
						   : DISTANCE_REMOTE;
}

static int node_index(const struct topology *t, nodeid_t id)
{
	for (unsigned i = 0; i < t->nr_nodes; i++)
		if (t->nodes[i].id == id)
			return (int)i;
	return -1;
}

/*
 * Replace the defaults by the firmware's distances, pair by pair: firmware may
 * leave out pairs, or give values that are not usable.
 */
static void fill_distances(struct topology *t, hwloc_topology_t hw)
{
	struct hwloc_distances_s *m = NULL;
	unsigned nr = 1;

	default_distances(t);
	if (hwloc_distances_get_by_type(hw, HWLOC_OBJ_NUMANODE, &nr, &m,
					HWLOC_DISTANCES_KIND_MEANS_LATENCY,
					0) ||
	    nr == 0 || !m)
		return;
	for (unsigned i = 0; i < m->nbobjs; i++) {
		int a = node_index(t, (nodeid_t)m->objs[i]->os_index);

		for (unsigned j = 0; j < m->nbobjs; j++) {
			int b = node_index(t, (nodeid_t)m->objs[j]->os_index);
			uint64_t v = m->values[i * m->nbobjs + j];

			if (a >= 0 && b >= 0 && v && v <= UINT32_MAX)
				t->distance[a][b] = (uint32_t)v;
		}
	}
	hwloc_distances_release(hw, m);
}

static int topology_fill(struct topology *t, hwloc_topology_t hw,
			 struct diag *d)
{
	hwloc_bitmap_t usable;
	int err;

	t->this_machine = hwloc_topology_is_thissystem(hw);
	usable = usable_cpus(hw, t->this_machine);
	if (!usable)
		return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	err = fill_nodes(t, hw, usable, d);
	hwloc_bitmap_free(usable);
	if (err)
		return err;
	fill_distances(t, hw);
	return 0;
}

/*
 * Load the description in HWLOC_XMLFILE, else that in HWLOC_SYNTHETIC. hwloc
 * would load either by itself. But if it cannot read the description it uses
 * this machine instead, and guests would start where a dry run was intended.
 */
static int topology_describe(hwloc_topology_t hw, struct diag *d)
{
	const char *xml = getenv("HWLOC_XMLFILE");
	const char *text = getenv("HWLOC_SYNTHETIC");

	if (xml && *xml) {
		if (hwloc_topology_set_xml(hw, xml) == 0)
			return 0;
		return diag_fail(d, ST_HOST, ENODEV,
				 "HWLOC_XMLFILE: '%s' cannot be read, or is no "
				 "topology; see lstopo(1)",
				 xml);
	}
	if (text && *text && hwloc_topology_set_synthetic(hw, text))
		return diag_fail(d, ST_HOST, ENODEV,
				 "HWLOC_SYNTHETIC: '%s' is no topology; see "
				 "hwloc(7)",
				 text);
	return 0;
}

int topology_create(struct topology *out, struct diag *d)
{
	hwloc_topology_t hw;
	struct topology *t;
	int err;

	t = calloc(1, sizeof(*t));
	if (!t)
		return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	if (hwloc_topology_init(&hw)) {
		err = diag_fail(d, ST_HOST, ENOMEM, "out of memory");
		goto out_free;
	}
	err = topology_describe(hw, d);
	if (err)
		goto out_hwloc;
	if (hwloc_topology_load(hw)) {
		err = diag_fail(d, ST_HOST, ENODEV,
				"hwloc cannot read the machine's topology; "
				"check HWLOC_SYNTHETIC and HWLOC_XMLFILE");
		goto out_hwloc;
	}
	err = topology_fill(t, hw, d);
	if (err)
		topology_destroy(t);
	else
		*out = *t; /* the arrays of CPUs move with it */
out_hwloc:
	hwloc_topology_destroy(hw);
out_free:
	free(t);
	return err;
}

void topology_refresh_free(struct topology *t)
{
	for (unsigned i = 0; t->this_machine && i < t->nr_nodes; i++) {
		struct topology_node *n = &t->nodes[i];

		n->free_bytes = node_free_bytes(n->id, n->total_bytes);
	}
}

void topology_destroy(struct topology *t)
{
	if (!t)
		return;
	for (unsigned i = 0; i < t->nr_nodes; i++)
		free(t->nodes[i].cpus);
	memset(t, 0, sizeof(*t));
}

const struct topology_node *topology_find(const struct topology *t, nodeid_t id)
{
	int i = node_index(t, id);

	return i < 0 ? NULL : &t->nodes[i];
}

uint32_t topology_distance(const struct topology *t, nodeid_t a, nodeid_t b)
{
	int i = node_index(t, a), j = node_index(t, b);

	return i < 0 || j < 0 ? 0 : t->distance[i][j];
}

const struct topology_node *topology_cpus_near(const struct topology *t,
					       nodeid_t id)
{
	int from = node_index(t, id), best = -1;

	if (from < 0)
		return NULL;
	if (t->nodes[from].nr_cpus)
		return &t->nodes[from];
	for (unsigned i = 0; i < t->nr_nodes; i++)
		if (t->nodes[i].nr_cpus &&
		    (best < 0 ||
		     t->distance[from][i] < t->distance[from][best]))
			best = (int)i;
	return best < 0 ? NULL : &t->nodes[best];
}
