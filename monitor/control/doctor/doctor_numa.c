/* SPDX-License-Identifier: BSD-2-Clause */
/* Probes: nodes, and what this process may do with them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <numaif.h>

#include "monitor/control/doctor/doctor.h"
#include "numa/bind.h"
#include "numa/topology.h"

#define CONTAINER                                                              \
	"the container's system call filter forbids it (Docker: --cap-add "    \
	"SYS_NICE allows it)"

/* Runs @with on the topology, or fills @c with why there is none. */
static void with_topology(struct check *c,
			  void (*with)(struct check *c,
				       const struct topology *t))
{
	struct topology *t = calloc(1, sizeof(*t));
	struct diag d = { 0 };

	if (!t || topology_create(t, &d)) {
		check_value(c, VERDICT_FAIL, "unknown");
		check_advice(c, "%s", t ? d.text : "out of memory");
	} else {
		with(c, t);
	}
	topology_destroy(t);
	free(t);
}

static void report_nodes(struct check *c, const struct topology *t)
{
	char list[200] = "";
	size_t len = 0;
	unsigned nr_cpus = 0;

	for (unsigned i = 0; i < t->nr_nodes; i++) {
		const struct topology_node *n = &t->nodes[i];

		nr_cpus += n->nr_cpus;
		if (len < sizeof(list) - 48)
			len += (size_t)snprintf(
				list + len, sizeof(list) - len,
				"%s%d: %u CPUs, %llu MiB", i ? "; " : "", n->id,
				n->nr_cpus,
				(unsigned long long)(n->total_bytes >> 20));
	}
	check_value(c, nr_cpus ? VERDICT_OK : VERDICT_FAIL, "%u (%s)",
		    t->nr_nodes, list);
	if (!nr_cpus)
		check_advice(c, "no node has a CPU that this process may use");
	else if (t->nr_nodes == 1)
		check_advice(c, "one node: nothing to place; the lab has four");
	else if (!t->this_machine)
		check_advice(c, "described by HWLOC_SYNTHETIC or HWLOC_XMLFILE,"
				" not this machine");
}

static void report_distances(struct check *c, const struct topology *t)
{
	char text[256] = "";
	size_t len = 0;

	for (unsigned i = 0; i < t->nr_nodes; i++)
		for (unsigned j = 0; j < t->nr_nodes; j++)
			if (len < sizeof(text) - 16)
				len += (size_t)snprintf(
					text + len, sizeof(text) - len, "%s%u",
					j ? " " : (i ? " / " : ""),
					t->distance[i][j]);
	check_value(c, VERDICT_OK, "%s", text);
}

static void probe_nodes(struct check *c)
{
	with_topology(c, report_nodes);
}

static void probe_distances(struct check *c)
{
	with_topology(c, report_distances);
}

static void *scratch_page(void)
{
	void *p = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* Numbers of the nodes the kernel lets us have memory of. */
static unsigned memory_nodes(nodeid_t *ids, unsigned max)
{
	unsigned long mask[(NODE_ID_MAX + 1) / 8 / sizeof(unsigned long)];
	const unsigned bits = 8 * sizeof(mask[0]);
	unsigned nr = 0;

	memset(mask, 0, sizeof(mask));
	if (get_mempolicy(NULL, mask, NODE_ID_MAX + 1, NULL,
			  MPOL_F_MEMS_ALLOWED))
		return 0;
	for (unsigned i = 0; i <= NODE_ID_MAX && nr < max; i++)
		if (mask[i / bits] >> (i % bits) & 1)
			ids[nr++] = (nodeid_t)i;
	return nr;
}

/* @lost: what does not work then. */
static void doctor_numa_refused(struct check *c, const char *call,
				const char *lost, int err)
{
	if (err == -ENOSYS) {
		check_value(c, VERDICT_ABSENT, "%s: not in this kernel", call);
		check_advice(c, "the kernel has no NUMA support; memory goes "
				"where the kernel likes");
		return;
	}
	check_value(c, VERDICT_WARN, "%s: %s", call, strerror(-err));
	if (err == -EPERM || err == -EACCES)
		check_advice(c, "%s: " CONTAINER, lost);
	else
		check_advice(c, "%s", lost);
}

static int try_bind(char *page, nodeid_t node, bool *there)
{
	uint64_t touched = 0, local = 0;
	int err = node_bind_probe(node);

	if (!err)
		err = node_bind_memory(page, PAGE_BYTES, node, true);
	if (err)
		return err;
	*page = 1;
	*there = node_pages_local(page, PAGE_BYTES, node, &touched, &local) ||
		 local == 1;
	return 0;
}

static void probe_bind(struct check *c)
{
	char *page = scratch_page();
	nodeid_t ids[MAX_NODES];
	unsigned nr = memory_nodes(ids, MAX_NODES);
	nodeid_t node = nr ? ids[nr - 1] : 0;
	bool there = false;
	int err = page ? try_bind(page, node, &there) : -ENOMEM;

	if (err)
		doctor_numa_refused(c, "mbind",
				    "guests run, their memory is not placed, "
				    "and 'strict' is refused",
				    err);
	else if (there)
		check_value(c, VERDICT_OK, "mbind works (node %d)", node);
	else
		check_value(c, VERDICT_WARN, "mbind to node %d has no effect",
			    node);
	if (page)
		(void)munmap(page, PAGE_BYTES);
}

/* Moves @page to @node; where it is then, or -errno. */
static int try_move(void *page, nodeid_t node)
{
	int where = -ENOENT;

	if (move_pages(0, 1, &page, &node, &where, MPOL_MF_MOVE) < 0)
		return -errno;
	return where;
}

static void probe_move(struct check *c)
{
	char *page = scratch_page();
	nodeid_t ids[MAX_NODES];
	unsigned nr = memory_nodes(ids, MAX_NODES);
	int where = -ENOMEM;

	if (page) {
		*page = 1;
		where = try_move(page, nr ? ids[0] : 0);
	}
	if (where >= 0 && nr > 1)
		where = try_move(page, ids[nr - 1]);
	if (where < 0)
		doctor_numa_refused(c, "move_pages",
				    "guests run, and cannot be moved to "
				    "another node",
				    where);
	else
		check_value(c, VERDICT_OK, "move_pages works (%s)",
			    nr > 1 ? "between nodes" : "one node");
	if (page)
		(void)munmap(page, PAGE_BYTES);
}

static void probe_balancing(struct check *c)
{
	char line[32];

	if (doctor_read_line("/proc/sys/kernel/numa_balancing", line,
			     sizeof(line))) {
		check_value(c, VERDICT_ABSENT, "not in this kernel");
		check_advice(c, "nothing moves guest pages behind disco");
	} else if (strcmp(line, "0") == 0) {
		check_value(c, VERDICT_OK, "0 (off)");
	} else {
		check_value(c, VERDICT_WARN, "%s (on)", line);
		check_advice(c,
			     "the kernel moves guest pages too and stalls "
			     "big guests; sysctl -w kernel.numa_balancing=0");
	}
}

const struct probe doctor_numa_probes[] = {
	{ "nodes", probe_nodes },
	{ "distances", probe_distances },
	{ "bind-memory", probe_bind },
	{ "move-pages", probe_move },
	{ "numa-balancing", probe_balancing },
	{ NULL, NULL },
};
