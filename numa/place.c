/* SPDX-License-Identifier: BSD-2-Clause */
#include "numa/place.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Room that is left on a node while VMs are being placed. */
struct room {
	uint64_t free_bytes;
	uint64_t nr_vcpus;
};

/*
 * Groups are placed in this order. Those that can go to one node only come
 * first, so that a VM that could go elsewhere does not take their memory.
 */
enum group {
	GROUP_STRICT,
	GROUP_PREFERRED,
	GROUP_AUTO_STRICT,
	GROUP_AUTO,
	NR_GROUPS,
};

static enum group group_of(const struct place_request *r)
{
	if (r->wide.nr)
		return GROUP_PREFERRED;
	if (r->node == NODE_AUTO)
		return r->strict ? GROUP_AUTO_STRICT : GROUP_AUTO;
	return r->strict ? GROUP_STRICT : GROUP_PREFERRED;
}

static double place_mib(uint64_t bytes)
{
	return (double)bytes / (double)MIB(1);
}

static int fail_strict(const struct topology *t, const struct room *rooms,
		       const struct place_request *r, unsigned i,
		       struct diag *d)
{
	const struct topology_node *n = &t->nodes[i];
	uint64_t taken = topology_room(n) - rooms[i].free_bytes;
	char promised[64] = "";

	if (n->promised_bytes)
		(void)snprintf(promised, sizeof(promised),
			       ", %.0f MiB are promised to running ones",
			       place_mib(n->promised_bytes));
	return diag_fail(d, ST_MEMORY, ENOMEM,
			 "vm '%s': %.0f MiB do not fit on node %d, which has "
			 "%.0f MiB free of %.0f MiB (%.0f MiB go to other VMs "
			 "of this run%s); give it less memory or another node, "
			 "leave out 'strict', or insist with --overcommit",
			 r->name, place_mib(r->bytes), n->id,
			 place_mib(rooms[i].free_bytes),
			 place_mib(n->total_bytes), place_mib(taken), promised);
}

static int fail_unknown(const struct topology *t, const struct place_request *r,
			nodeid_t node, struct diag *d)
{
	char list[256] = "";
	size_t len = 0;

	for (unsigned i = 0; i < t->nr_nodes && len < sizeof(list) - 16; i++)
		len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%d",
					i ? ", " : "", t->nodes[i].id);
	return diag_fail(d, ST_CONFIG, ENOENT,
			 "vm '%s': no node %d here; nodes are %s (or 'auto')",
			 r->name, node, list);
}

/* True when node @a is the better place for @r than node @b. */
static bool place_better(const struct topology *t, const struct room *rooms,
			 const struct place_request *r, unsigned a, unsigned b)
{
	bool fits_a = rooms[a].free_bytes >= r->bytes;
	bool fits_b = rooms[b].free_bytes >= r->bytes;
	/*
	 * vCPUs per CPU once @r is there, compared without division: a/b < c/d
	 * if ad < cb.
	 */
	uint64_t load_a =
		(rooms[a].nr_vcpus + r->nr_vcpus) * t->nodes[b].nr_cpus;
	uint64_t load_b =
		(rooms[b].nr_vcpus + r->nr_vcpus) * t->nodes[a].nr_cpus;

	if (fits_a != fits_b)
		return fits_a;
	if (!fits_a && rooms[a].free_bytes != rooms[b].free_bytes)
		return rooms[a].free_bytes > rooms[b].free_bytes;
	if (load_a != load_b)
		return load_a < load_b;
	return rooms[a].free_bytes > rooms[b].free_bytes;
}

/*
 * Where the kernel takes memory from for a VM of node @i: node @i while it has
 * free memory, then the nearest node that has. MAX_NODES: no node has any.
 */
static unsigned next_room(const struct topology *t, const struct room *rooms,
			  unsigned i)
{
	unsigned best = MAX_NODES;

	if (rooms[i].free_bytes)
		return i;
	for (unsigned k = 0; k < t->nr_nodes; k++)
		if (rooms[k].free_bytes &&
		    (best == MAX_NODES ||
		     t->distance[i][k] < t->distance[i][best]))
			best = k;
	return best;
}

/* Charge what a VM takes that has these on node @i; see place_initial(). */
static void place_charge(const struct topology *t, struct room *rooms,
			 unsigned i, unsigned nr_vcpus, uint64_t bytes)
{
	const struct topology_node *runs_on =
		topology_cpus_near(t, t->nodes[i].id);
	uint64_t left = bytes;
	unsigned at;

	if (runs_on)
		rooms[runs_on - t->nodes].nr_vcpus += nr_vcpus;
	while (left && (at = next_room(t, rooms, i)) != MAX_NODES) {
		uint64_t take = min_u64(rooms[at].free_bytes, left);

		rooms[at].free_bytes -= take;
		left -= take;
	}
}

static int fail_auto(const struct topology *t, const struct place_request *r,
		     struct diag *d)
{
	for (unsigned i = 0; i < t->nr_nodes; i++)
		if (t->nodes[i].nr_cpus)
			return diag_fail(d, ST_HOST, ENODEV,
					 "vm '%s': no node has both CPUs and "
					 "memory; name one that has memory",
					 r->name);
	return diag_fail(d, ST_HOST, ENODEV,
			 "vm '%s': no node has a CPU that this process "
			 "may run on; check taskset(1) and the cgroup",
			 r->name);
}

static int place_choose(const struct topology *t, const struct room *rooms,
			const struct place_request *r, unsigned *out,
			struct diag *d)
{
	unsigned best = MAX_NODES;

	for (unsigned i = 0; i < t->nr_nodes; i++)
		if (t->nodes[i].nr_cpus && t->nodes[i].total_bytes &&
		    (best == MAX_NODES || place_better(t, rooms, r, i, best)))
			best = i;
	if (best == MAX_NODES)
		return fail_auto(t, r, d);
	*out = best;
	return 0;
}

static int place_lookup(const struct topology *t, const struct place_request *r,
			nodeid_t node, unsigned *out, struct diag *d)
{
	const struct topology_node *n = topology_find(t, node);

	if (!n)
		return fail_unknown(t, r, node, d);
	if (!n->total_bytes)
		return diag_fail(d, ST_MEMORY, ENOMEM,
				 "vm '%s': node %d has no memory; give it "
				 "another node%s",
				 r->name, node,
				 r->wide.nr ? "" : ", or 'auto'");
	*out = (unsigned)(n - t->nodes);
	return 0;
}

/* Nodes that are there, with CPUs and memory. */
static int place_check_wide(const struct topology *t,
			    const struct place_request *r, struct diag *d)
{
	for (unsigned k = 0; k < r->wide.nr; k++) {
		unsigned i = 0;
		int err = place_lookup(t, r, r->wide.ids[k], &i, d);

		if (err)
			return err;
		if (!t->nodes[i].nr_cpus)
			return diag_fail(
				d, ST_CONFIG, ENODEV,
				"vm '%s': node %d has no CPUs for its "
				"virtual CPUs; leave it out of 'nodes'",
				r->name, r->wide.ids[k]);
	}
	return 0;
}

static int place_wide(const struct topology *t, struct room *rooms,
		      const struct place_request *r, nodeid_t *node,
		      struct diag *d)
{
	unsigned vcpus[MAX_NODES] = { 0 };
	int err = place_check_wide(t, r, d);

	if (err)
		return err;
	for (unsigned i = 0; i < r->nr_vcpus; i++)
		vcpus[node_list_spread(&r->wide, r->nr_vcpus, i)]++;
	for (unsigned k = 0; k < r->wide.nr; k++) {
		const struct topology_node *n =
			topology_find(t, r->wide.ids[k]);

		place_charge(t, rooms, (unsigned)(n - t->nodes), vcpus[k],
			     r->bytes / r->wide.nr);
	}
	*node = r->wide.ids[0];
	return 0;
}

static int place_one(const struct topology *t, struct room *rooms,
		     const struct place_request *r, nodeid_t *node,
		     struct diag *d)
{
	unsigned i = 0;
	int err;

	if (r->wide.nr)
		return place_wide(t, rooms, r, node, d);
	if (r->node == NODE_AUTO)
		err = place_choose(t, rooms, r, &i, d);
	else
		err = place_lookup(t, r, r->node, &i, d);
	if (err)
		return err;
	if (r->strict && rooms[i].free_bytes < r->bytes)
		return fail_strict(t, rooms, r, i, d);
	place_charge(t, rooms, i, r->nr_vcpus, r->bytes);
	*node = t->nodes[i].id;
	return 0;
}

static int place_group(const struct topology *t, struct room *rooms,
		       const struct place_request *reqs, unsigned nr,
		       enum group group, nodeid_t *nodes, struct diag *d)
{
	for (unsigned i = 0; i < nr; i++) {
		int err;

		if (group_of(&reqs[i]) != group)
			continue;
		err = place_one(t, rooms, &reqs[i], &nodes[i], d);
		if (err)
			return err;
	}
	return 0;
}

int place_initial(const struct topology *t, const struct place_request *reqs,
		  unsigned nr, nodeid_t *nodes, struct diag *d)
{
	struct room rooms[MAX_NODES] = { 0 };
	nodeid_t *found;
	int err = 0;

	found = calloc(nr ? nr : 1, sizeof(*found));
	if (!found)
		return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	for (unsigned i = 0; i < t->nr_nodes; i++)
		rooms[i].free_bytes = topology_room(&t->nodes[i]);
	for (unsigned g = 0; g < NR_GROUPS && !err; g++)
		err = place_group(t, rooms, reqs, nr, g, found, d);
	if (!err && nr)
		memcpy(nodes, found, nr * sizeof(*found));
	free(found);
	return err;
}
