/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/study/study.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disco/placement.h"
#include "monitor/control/cli/cli.h"
#include "numa/topology.h"

const struct option_entry study_option_table[] = {
	[STUDY_POLICY] = { .name = "policy",
			   .arg = "NAME[,KEY=N]...",
			   .help = "a policy; N may be A..B, A..B+STEP or "
				   "A..B*FACTOR: one run for each value; "
				   "'recorded': as it was; may be given "
				   "several "
				   "times" },
	[STUDY_PLUGIN] = { .name = "policy-plugin",
			   .arg = "FILE",
			   .help = "one more policy, as for 'disco monitor'" },
	[STUDY_TOPOLOGY] = { .name = "topology",
			     .arg = "XML|TEXT",
			     .help = "another machine: hwloc's XML file, or "
				     "text such as 'numa:4 pu:2' (default: the "
				     "recorded one)" },
	[STUDY_REPLICAS] = { .name = "no-replicas",
			     .help = "pages are moved, never copied" },
	[STUDY_PROOF] = { .name = "proof-ms",
			  .arg = "MS",
			  .help = "a page may be copied when nobody has "
				  "written it for MS ms (default 200)" },
	[STUDY_TURN] = { .name = "turn-ms",
			 .arg = "MS",
			 .help = "act every MS ms on at most 128 pages; an "
				 "agent does so every 50 ms (default 0: act at "
				 "once)" },
	[STUDY_COLLAPSE] = { .name = "collapse-us",
			     .arg = "US",
			     .help = "cost of a copy that ends by a write "
				     "(default 5)" },
	[STUDY_MOVE] = { .name = "move-us",
			 .arg = "US",
			 .help = "cost of moving or copying a page (default: "
				 "as the trace says)" },
	[STUDY_JOBS] = { .name = "jobs",
			 .arg = "N",
			 .help = "simulate N at a time (default: as many as "
				 "there are CPUs)" },
	{ .name = NULL },
};

/* --- the machine ---------------------------------------------------------- */

int study_topology(const char *text, struct topology *t, struct diag *d)
{
	bool file = access(text, R_OK) == 0;

	if (setenv(file ? "HWLOC_XMLFILE" : "HWLOC_SYNTHETIC", text, 1) ||
	    setenv(file ? "HWLOC_SYNTHETIC" : "HWLOC_XMLFILE", "", 1))
		return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	return topology_create(t, d);
}

/* As the agents derive latencies from distances. */
static int study_describe_machine(const char *text, struct sim_machine *m,
				  struct diag *d)
{
	struct topology t = { 0 };
	int err = study_topology(text, &t, d);

	if (err)
		return err;
	m->nr_nodes = t.nr_nodes;
	for (uint32_t i = 0; i < t.nr_nodes; i++)
		for (uint32_t j = 0; j < t.nr_nodes; j++)
			m->latency_ns[i * t.nr_nodes + j] =
				PLACEMENT_NS_PER_DISTANCE *
				(uint32_t)max_u64(t.distance[i][j],
						  DISTANCE_LOCAL);
	topology_destroy(&t);
	return 0;
}

static int study_set_machine(const struct study *s, struct study_trace *t,
			     struct diag *d)
{
	const struct trace_info *info = t->info;
	struct sim_machine *m = t->machine;
	uint32_t nr = info->nr_nodes, move = s->o.move_ns;
	int err;

	m->collapse_ns = s->o.collapse_ns;
	if (s->o.topology) {
		err = study_describe_machine(s->o.topology, m, d);
		if (err)
			return err;
		if (m->nr_nodes < nr)
			return diag_fail(d, ST_USAGE, EINVAL,
					 "--topology: it has %u nodes, %s has "
					 "%u",
					 m->nr_nodes, t->path, nr);
	} else {
		m->nr_nodes = nr;
		memcpy(m->latency_ns, info->latency_ns,
		       nr * nr * sizeof(m->latency_ns[0]));
	}
	/* Another machine's moves take what the recorded one's did. */
	for (uint32_t i = 0; i < m->nr_nodes * m->nr_nodes; i++) {
		bool here = i % (m->nr_nodes + 1) == 0;

		if (!s->o.topology && !move)
			m->move_ns[i] = info->move_ns[i];
		else
			m->move_ns[i] = here	 ? 0
					: move	 ? move
					: nr > 1 ? info->move_ns[1]
						 : PLACEMENT_MOVE_NS;
	}
	return 0;
}

/* --- creation ------------------------------------------------------------- */

static int study_open_trace(struct study *s, const char *path, struct diag *d)
{
	struct study_trace *t = &s->traces[s->nr_traces++];
	struct trace_reader *r = NULL;
	int fd, err;

	t->path = path;
	t->info = malloc(sizeof(*t->info));
	t->machine = calloc(1, sizeof(*t->machine));
	t->runs = calloc(s->nr_runs, sizeof(*t->runs));
	if (!t->info || !t->machine || !t->runs)
		return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	for (uint32_t i = 0; i < s->nr_runs; i++) {
		t->runs[i].choice = s->choices[i];
		memcpy(t->runs[i].policy, s->policies[i],
		       sizeof(s->policies[i]));
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return diag_fail(d, ST_TRACE, errno, "%s: %s", path,
				 strerror(errno));
	err = trace_open(&r, fd, path, d);
	if (err) {
		(void)close(fd);
		return err;
	}
	*t->info = *trace_info(r);
	t->file_bytes = trace_file_bytes(r);
	trace_close(r);
	return study_set_machine(s, t, d);
}

static int study_load_plugin(struct study *s, const char *path, struct diag *d)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err;

	if (fd < 0)
		return diag_fail(d, ST_CONFIG, errno, "%s: %s", path,
				 strerror(errno));
	err = policy_plugin_load(&s->plugin, fd, path, d);
	(void)close(fd);
	if (!err && policy_find(s->plugin.policy->name))
		err = diag_fail(d, ST_CONFIG, EEXIST,
				"%s: a policy called '%s' is built in", path,
				s->plugin.policy->name);
	return err;
}

static int study_take_number(const struct command_args *a, unsigned option,
			     uint64_t scale, uint64_t most, uint64_t *out,
			     struct diag *d)
{
	unsigned n = 0;
	int err;

	if (!a->given[option])
		return 0;
	err = cli_whole(a->value[option], 0, &n, d);
	if (err)
		return err;
	if (n > most)
		return diag_fail(d, ST_USAGE, EINVAL,
				 "--%s: at most %llu, not %u",
				 study_option_table[option].name,
				 (unsigned long long)most, n);
	*out = n * scale;
	return 0;
}

static int study_take_options(struct study *s, const struct command_args *a,
			      struct diag *d)
{
	struct study_options *o = &s->o;
	uint64_t collapse = o->collapse_ns, move = 0, jobs = 0;
	int err;

	*o = STUDY_OPTIONS;
	collapse = o->collapse_ns;
	o->topology = a->value[STUDY_TOPOLOGY];
	o->replicas = !a->given[STUDY_REPLICAS];
	err = study_take_number(a, STUDY_PROOF, 1000000, 3600000, &o->proof_ns,
				d);
	if (!err)
		err = study_take_number(a, STUDY_TURN, 1000000, 3600000,
					&o->turn_ns, d);
	if (!err)
		err = study_take_number(a, STUDY_COLLAPSE, 1000, 100000,
					&collapse, d);
	if (!err)
		err = study_take_number(a, STUDY_MOVE, 1000, 100000, &move, d);
	if (!err)
		err = study_take_number(a, STUDY_JOBS, 1, 1024, &jobs, d);
	o->collapse_ns = (uint32_t)collapse;
	o->move_ns = (uint32_t)move;
	o->jobs = (uint32_t)jobs;
	if (!err && a->given[STUDY_PLUGIN])
		err = study_load_plugin(s, a->value[STUDY_PLUGIN], d);
	return err;
}

int study_create(const struct command_args *a, const char *const *standard,
		 struct study *out, struct diag *d)
{
	int err;

	*out = (struct study){ 0 };
	out->choices = calloc(STUDY_MAX_RUNS, sizeof(*out->choices));
	out->policies = calloc(STUDY_MAX_RUNS, sizeof(*out->policies));
	out->traces = calloc(a->nr_words, sizeof(*out->traces));
	if (!out->choices || !out->policies || !out->traces)
		return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	err = study_take_options(out, a, d);
	for (unsigned i = 0; !err && i < a->nr_items; i++)
		if (a->items[i].option == &study_option_table[STUDY_POLICY])
			err = study_add_policies(out, a->items[i].value, d);
	for (; !err && !a->given[STUDY_POLICY] && *standard; standard++)
		err = study_add_policies(out, *standard, d);
	for (unsigned i = 0; !err && i < a->nr_words; i++)
		err = study_open_trace(out, a->words[i], d);
	return err;
}

void study_destroy(struct study *s)
{
	for (uint32_t i = 0; i < s->nr_traces; i++) {
		free(s->traces[i].info);
		free(s->traces[i].machine);
		free(s->traces[i].runs);
	}
	free(s->traces);
	free(s->choices);
	free(s->policies);
	policy_plugin_unload(&s->plugin);
	*s = (struct study){ 0 };
}

/* --- results -------------------------------------------------------------- */

uint64_t study_time_ns(const struct study_trace *t, const struct study_run *r)
{
	return t->totals.compute_ns + r->result.stall_ns + r->result.spent_ns;
}

uint64_t study_best_ns(const struct study_trace *t)
{
	return t->totals.compute_ns + t->optimum_ns;
}

uint64_t study_uma_ns(const struct study_trace *t)
{
	return t->totals.compute_ns + t->runs[0].result.uma_ns;
}

double study_local(const struct study_run *r)
{
	double all = (double)r->result.local + (double)r->result.remote;

	return all > 0 ? (double)r->result.local / all : 0;
}

double study_regret(const struct study *s, const struct study_trace *t,
		    const struct study_run *r)
{
	uint64_t best = study_best_ns(t);

	return s->o.optimum && best
		       ? (double)study_time_ns(t, r) / (double)best - 1
		       : 0;
}

double study_mean_regret(const struct study *s, uint32_t run)
{
	double sum = 0;

	for (uint32_t i = 0; i < s->nr_traces; i++)
		sum += log1p(study_regret(s, &s->traces[i],
					  &s->traces[i].runs[run]));
	return s->nr_traces ? expm1(sum / s->nr_traces) : 0;
}
