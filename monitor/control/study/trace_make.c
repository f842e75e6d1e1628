/* SPDX-License-Identifier: BSD-2-Clause */
/* disco trace import, make. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disco/placement.h"
#include "memory/import/import.h"
#include "memory/import/synth.h"
#include "monitor/control/base/new_file.h"
#include "monitor/control/cli/cli.h"
#include "monitor/control/study/study.h"
#include "monitor/control/study/trace_commands.h"
#include "numa/topology.h"

#define LOCAL_NS  300u
#define REMOTE_NS 900u

int trace_needs(const struct command_args *a, unsigned option, const char *name,
		struct diag *d)
{
	return a->value[option]
		       ? 0
		       : diag_fail(d, ST_USAGE, EINVAL, "--%s is needed", name);
}

int trace_new_file(struct new_file *f, const char *path, struct diag *d)
{
	int err = new_file_create(f, path);

	return err ? diag_fail(d, ST_TRACE, -err, "%s: %s", path,
			       strerror(-err))
		   : 0;
}

int trace_publish(struct new_file *f, const char *path, struct diag *d)
{
	int err = new_file_share(f->fd);

	if (!err)
		err = new_file_publish(f);
	return err ? diag_fail(d, ST_TRACE, -err, "%s: %s", path,
			       strerror(-err))
		   : 0;
}

/* --- make ----------------------------------------------------------------- */

int trace_run_make(const struct command_args *a, struct diag *d)
{
	const char *path = a->value[TRACE_MAKE_OUT];
	struct new_file f = NEW_FILE_NONE;
	struct synth s;
	int err = trace_needs(a, TRACE_MAKE_OUT, "output", d);

	if (!err)
		err = synth_parse(a->words[0], &s, d);
	if (!err)
		err = trace_new_file(&f, path, d);
	if (!err && (err = synth_write(&s, f.fd)))
		err = diag_fail(d, ST_TRACE, -err, "%s: %s", path,
				strerror(-err));
	if (!err)
		err = trace_publish(&f, path, d);
	new_file_close(&f);
	return err;
}

/* --- the machine of an import --------------------------------------------- */

struct trace_cpus {
	uint8_t node_of[IMPORT_MAX_CPUS];
	uint32_t nr;
};

/* CPUs in their order, as many on each node. */
static int trace_divide_cpus(const struct command_args *a,
			     const struct import_run *im,
			     struct trace_info *info, struct trace_cpus *cpus,
			     struct diag *d)
{
	uint32_t seen = import_nr_cpus(im);
	unsigned nodes = (unsigned)max_u64(import_nr_nodes(im), 1), nr = seen;
	int err = 0;

	if (a->given[TRACE_IMPORT_NODES])
		err = cli_whole(a->value[TRACE_IMPORT_NODES], 1, &nodes, d);
	if (!err && a->given[TRACE_IMPORT_CPUS])
		err = cli_whole(a->value[TRACE_IMPORT_CPUS], 1, &nr, d);
	if (err)
		return err;
	if (nodes > POLICY_MAX_NODES || nr > IMPORT_MAX_CPUS || nr < seen)
		return diag_fail(d, ST_USAGE, EINVAL,
				 "--nodes: at most %u; --cpus: %u to %u",
				 POLICY_MAX_NODES, seen, IMPORT_MAX_CPUS);
	info->nr_nodes = nodes;
	cpus->nr = nr;
	for (uint32_t i = 0; i < nr; i++) {
		cpus->node_of[i] = (uint8_t)((uint64_t)i * nodes / nr);
		info->nodes[cpus->node_of[i]].cpus++;
	}
	for (uint32_t i = 0; i < nodes; i++) {
		info->nodes[i].number = (int32_t)i;
		for (uint32_t j = 0; j < nodes; j++) {
			info->distance[i * nodes + j] = i == j ? 10 : 30;
			info->latency_ns[i * nodes + j] = i == j ? LOCAL_NS
								 : REMOTE_NS;
		}
	}
	return 0;
}

static int trace_take_topology(const char *text, uint32_t seen,
			       struct trace_info *info, struct trace_cpus *cpus,
			       struct diag *d)
{
	struct topology t = { 0 };
	int err = study_topology(text, &t, d);

	if (err)
		return err;
	info->nr_nodes = t.nr_nodes;
	memset(cpus->node_of, ACCESS_NO_NODE, sizeof(cpus->node_of));
	for (uint32_t i = 0; i < t.nr_nodes; i++) {
		info->nodes[i] = (struct trace_node){
			.number = t.nodes[i].id,
			.cpus = t.nodes[i].nr_cpus,
			.pages = t.nodes[i].total_bytes / PAGE_BYTES,
		};
		for (uint32_t k = 0; k < t.nodes[i].nr_cpus; k++)
			if (t.nodes[i].cpus[k] < IMPORT_MAX_CPUS)
				cpus->node_of[t.nodes[i].cpus[k]] = (uint8_t)i;
		for (uint32_t j = 0; j < t.nr_nodes; j++) {
			uint32_t far = (uint32_t)max_u64(t.distance[i][j],
							 DISTANCE_LOCAL);

			info->distance[i * t.nr_nodes + j] = far;
			info->latency_ns[i * t.nr_nodes + j] =
				PLACEMENT_NS_PER_DISTANCE * far;
		}
	}
	topology_destroy(&t);
	for (uint32_t i = 0; i < seen; i++)
		if (cpus->node_of[i] == ACCESS_NO_NODE)
			return diag_fail(d, ST_USAGE, EINVAL,
					 "--topology: there is no CPU %u in "
					 "it, but in the files",
					 i);
	return 0;
}

static int trace_describe_machine(const struct command_args *a,
				  const struct import_run *im,
				  struct trace_info *info,
				  struct trace_cpus *cpus, struct diag *d)
{
	int err = a->given[TRACE_IMPORT_TOPOLOGY]
			  ? trace_take_topology(a->value[TRACE_IMPORT_TOPOLOGY],
						import_nr_cpus(im), info, cpus,
						d)
			  : trace_divide_cpus(a, im, info, cpus, d);

	for (uint32_t i = 0; !err && i < info->nr_nodes * info->nr_nodes; i++)
		info->move_ns[i] = i % (info->nr_nodes + 1) ? PLACEMENT_MOVE_NS
							    : 0;
	return err;
}

/* --- import --------------------------------------------------------------- */

static int trace_read_files(struct import_run *im, const struct command_args *a,
			    struct diag *d)
{
	int err = 0;

	for (unsigned i = 0; !err && i < a->nr_words; i++) {
		FILE *f = fopen(a->words[i], "re");

		if (!f)
			return diag_fail(d, ST_TRACE, errno, "%s: %s",
					 a->words[i], strerror(errno));
		err = import_file(im, f, a->words[i], d);
		(void)fclose(f);
	}
	return err;
}

static int trace_configure(const struct command_args *a,
			   struct import_config *c, struct diag *d)
{
	const char *from = a->value[TRACE_IMPORT_FROM];
	unsigned step = 1, cache;
	int err = 0;

	c->kind = import_find(from);
	if (!c->kind)
		return diag_fail(d, ST_USAGE, EINVAL,
				 "--from: perf, damo, lackey, ramulator or "
				 "csv, not '%.64s'",
				 from);
	c->cache_bytes = import_standard_cache(c->kind);
	if (a->given[TRACE_IMPORT_STEP])
		err = cli_whole(a->value[TRACE_IMPORT_STEP], 1, &step, d);
	c->step_ns = step;
	if (err || !a->given[TRACE_IMPORT_CACHE])
		return err;
	err = cli_whole(a->value[TRACE_IMPORT_CACHE], 0, &cache, d);
	c->cache_bytes = KIB((uint64_t)cache);
	return err;
}

static int trace_import_into(struct import_run *im,
			     const struct command_args *a, struct diag *d)
{
	struct trace_info *info = calloc(1, sizeof(*info));
	struct trace_cpus *cpus = calloc(1, sizeof(*cpus));
	const char *path = a->value[TRACE_IMPORT_OUT];
	struct new_file f = NEW_FILE_NONE;
	int err;

	if (!info || !cpus)
		err = diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	else
		err = trace_describe_machine(a, im, info, cpus, d);
	if (!err)
		err = trace_new_file(&f, path, d);
	if (!err)
		err = import_write(im, f.fd, info, cpus->node_of, d);
	if (!err)
		err = trace_publish(&f, path, d);
	new_file_close(&f);
	free(info);
	free(cpus);
	return err;
}

int trace_run_import(const struct command_args *a, struct diag *d)
{
	struct import_config c = { 0 };
	struct import_run *im = NULL;
	int err = trace_needs(a, TRACE_IMPORT_FROM, "from", d);

	if (!err)
		err = trace_needs(a, TRACE_IMPORT_OUT, "output", d);
	if (!err)
		err = trace_configure(a, &c, d);
	if (!err && import_create(&im, &c))
		err = diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	if (!err)
		err = trace_read_files(im, a, d);
	if (!err)
		err = trace_import_into(im, a, d);
	import_destroy(im);
	return err;
}
