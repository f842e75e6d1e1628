/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The placement of a VM's pages: GET and POST /v1/vms/{name}/policy, and its
 * figures among the VM's. All of them are an agent's words: numbers are bounded,
 * and what is used as an index is checked.
 */
#include <inttypes.h>
#include <microhttpd.h>
#include <string.h>

#include "monitor/control/api/api_handlers.h"

#define DECISIONS 32u /* the latest, of an answer */

static json_t *policy_figure(const _Atomic(uint64_t) *word)
{
	uint64_t v = atomic_load_explicit(word, memory_order_relaxed);

	return json_integer((json_int_t)min_u64(v, FIGURES_MAX));
}

/* By what users may call them. */
static json_t *policy_reasons(const struct placement_figures *f)
{
	json_t *reasons = json_object();

	for (unsigned i = 0; i < POLICY_NR_REASONS; i++)
		(void)json_object_set_new(reasons, policy_reason_text(i),
					  policy_figure(&f->reasons[i]));
	return reasons;
}

/* What the worker has sampled; zeroes where that is not the source. */
static json_t *policy_samples(struct guest *g)
{
	static const char *const keys[FIGURES_NR_SAMPLES] = {
		[FIGURES_SAMPLES_SET] = "unmapped",
		[FIGURES_SAMPLES_SKIPPED] = "skipped",
		[FIGURES_SAMPLES_FAULTS] = "accessed",
		[FIGURES_SAMPLES_EXPIRED] = "expired",
		[FIGURES_SAMPLES_FAILED] = "failed",
		[FIGURES_SAMPLES_NOBODYS] = "nobodys",
		[FIGURES_SAMPLES_SPENT_NS] = "spent_ns",
	};
	json_t *all = json_object();

	figures_look(&g->figures);
	for (unsigned i = 0; i < FIGURES_NR_SAMPLES; i++)
		(void)json_object_set_new(
			all, keys[i],
			json_integer((json_int_t)g->figures.last.samples[i]));
	return all;
}

static json_t *policy_json(const struct monitor *m, const struct placer_view *v)
{
	const struct placement_figures *f = v->figures;

	return json_pack(
		"{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
		"s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
		"policy", v->policy, "source", placer_source(m->placer),
		"records", policy_figure(&f->records), "local",
		policy_figure(&f->local), "remote", policy_figure(&f->remote),
		"moves", policy_figure(&f->moves), "failed",
		policy_figure(&f->failed), "bounced",
		policy_figure(&f->bounced), "dropped",
		policy_figure(&f->dropped), "replicas_refused",
		policy_figure(&f->replicas_refused), "replicas",
		policy_figure(&f->replicas), "collapsed",
		policy_figure(&f->collapsed), "copies_ended",
		policy_figure(&f->copies_ended), "spent_ns",
		policy_figure(&f->spent_ns), "cpu_ns",
		policy_figure(&f->cpu_ns), "counter_bytes",
		policy_figure(&f->counter_bytes), "lost",
		policy_figure(&f->lost), "strange", policy_figure(&f->strange),
		"unknown_node", policy_figure(&f->unknown_node), "hints",
		policy_figure(&f->hints), "hints_dropped",
		policy_figure(&f->hints_dropped), "hinted_pages",
		policy_figure(&f->hinted_pages), "reasons", policy_reasons(f));
}

json_t *placement_json(const struct guest *g, json_t *stats)
{
	struct placer_view v;
	bool placed = placer_look(g->m->placer, g->id, &v);

	(void)json_object_set_new(stats, "placement",
				  placed ? policy_json(g->m, &v) : json_null());
	return stats;
}

/* --- decisions ------------------------------------------------------------ */

static const char *const action_texts[] = { "stay", "move", "replicate" };
static const char *const outcome_texts[PLACEMENT_OUTCOME] = {
	[PLACEMENT_DECIDED] = "decided",   [PLACEMENT_STAYED] = "stayed",
	[PLACEMENT_DONE] = "done",	   [PLACEMENT_FAILED] = "failed",
	[PLACEMENT_WRITTEN] = "written",   [PLACEMENT_NO_ROOM] = "no room",
	[PLACEMENT_RESTING] = "rests",	   [PLACEMENT_BUSY] = "busy",
	[PLACEMENT_COPIED] = "has copies",
};

/* The operating system's number of a node, by its index; -1: nonsense. */
static int policy_node(const struct monitor *m, uint64_t what, unsigned shift)
{
	unsigned i = what >> shift & 0xff;

	return i < m->topology.nr_nodes ? m->topology.nodes[i].id : -1;
}

static const char *policy_word(const char *const *texts, unsigned nr,
			       uint64_t what, unsigned shift)
{
	unsigned i = what >> shift & 0xff;

	return i < nr ? texts[i] : "?";
}

/* NULL: it is being written. */
static json_t *policy_decision(const struct monitor *m,
			       const struct placement_entry *e, uint64_t nr)
{
	uint64_t what;
	json_t *d;

	if (!stamp_is(&e->stamp, nr))
		return NULL;
	what = atomic_load_explicit(&e->what, memory_order_relaxed);
	d = json_pack(
		"{s:o, s:o, s:o, s:i, s:i, s:s, s:s, s:s, s:o, s:o, s:o}",
		"time_ns", policy_figure(&e->time_ns), "page",
		policy_figure(&e->page), "pages", policy_figure(&e->pages),
		"from", policy_node(m, what, 0), "to", policy_node(m, what, 8),
		"action",
		policy_word(action_texts, ARRAY_SIZE(action_texts), what, 16),
		"reason", policy_reason_text(what >> 24 & 0xff), "outcome",
		policy_word(outcome_texts, PLACEMENT_OUTCOME, what, 32),
		"gain_ns", policy_figure(&e->gain_ns), "cost_ns",
		policy_figure(&e->cost_ns), "spent_ns",
		policy_figure(&e->spent_ns));
	if (stamp_still(&e->stamp, nr))
		return d;
	json_decref(d);
	return NULL;
}

static json_t *policy_decisions(const struct monitor *m,
				const struct placement_figures *f)
{
	uint64_t end = atomic_load_explicit(&f->logged, memory_order_relaxed);
	uint64_t nr = min_u64(end, DECISIONS);
	json_t *list = json_array();

	for (; nr; nr--) {
		const struct placement_entry *e =
			&f->log[(end - nr) % PLACEMENT_LOG];
		json_t *d = policy_decision(m, e, end - nr);

		if (d)
			(void)json_array_append_new(list, d);
	}
	return list;
}

/* --- calls ---------------------------------------------------------------- */

static void policy_answer(struct api_call *c, struct guest *g)
{
	struct placer_view v;
	json_t *root;

	if (!placer_source(c->m->placer)) {
		api_fail(c, MHD_HTTP_CONFLICT, ST_HOST,
			 "%s: nothing is known here of which CPU uses which "
			 "page: 'disco doctor' lists the sources",
			 c->name);
		return;
	}
	if (!placer_look(c->m->placer, g->id, &v)) {
		api_fail(c, MHD_HTTP_CONFLICT, ST_HOST,
			 "%s: its pages are not placed now", c->name);
		return;
	}
	root = policy_json(c->m, &v);
	(void)json_object_set_new(root, "samples", policy_samples(g));
	(void)json_object_set_new(root, "decisions",
				  policy_decisions(c->m, v.figures));
	api_answer(c, MHD_HTTP_OK, root);
}

void api_policy_show(struct api_call *c)
{
	struct guest *g = api_running_guest(c);

	if (g)
		policy_answer(c, g);
}

/* Kept even where nothing places pages now. */
static void policy_set(struct api_call *c, struct guest *g, const char *policy)
{
	(void)snprintf(g->record.policy, sizeof(g->record.policy), "%s",
		       policy);
	if (state_vm_save(&c->m->state, &g->record))
		sink_line(&c->m->watcher.err,
			  "disco: %s: its record still has the old policy",
			  g->record.name);
	(void)!placer_set_policy(c->m->placer, g->id, policy);
}

void api_policy_change(struct api_call *c)
{
	struct guest *g = api_running_guest(c);
	struct policy_choice choice;
	struct diag d = { .status = ST_OK };
	const char *policy = "";
	json_error_t why;
	json_t *root;

	if (!g)
		return;
	root = json_loadb(c->body ? c->body : "", c->body_len,
			  JSON_REJECT_DUPLICATES, &why);
	if (!root || json_unpack_ex(root, &why, JSON_STRICT, "{s:s}", "policy",
				    &policy)) {
		api_fail(c, MHD_HTTP_BAD_REQUEST, ST_CONFIG,
			 "a change wants {\"policy\": \"NAME\"}: %s", why.text);
	} else if (strlen(policy) >= VM_POLICY_MAX) {
		api_fail(c, MHD_HTTP_BAD_REQUEST, ST_CONFIG,
			 "a policy has at most %u characters",
			 VM_POLICY_MAX - 1);
	} else if (placer_parse(c->m->placer, policy, &choice, &d)) {
		d.status = ST_CONFIG;
		api_fail_diag(c, &d);
	} else {
		policy_set(c, g, policy);
		policy_answer(c, g);
	}
	json_decref(root);
}

/* --- metrics -------------------------------------------------------------- */

static uint64_t policy_count_at(const struct placement_figures *f,
				size_t offset)
{
	const _Atomic(uint64_t) *word =
		(const void *)((const char *)f + offset);

	return min_u64(atomic_load_explicit(word, memory_order_relaxed),
		       FIGURES_MAX);
}

static void policy_metric(const struct monitor *m, FILE *out, const char *name,
			  const char *help, size_t offset)
{
	struct placer_view v;

	(void)fprintf(out, "# HELP %s %s\n# TYPE %s counter\n", name, help,
		      name);
	for (const struct guest *g = m->guests; g; g = g->next)
		if (!g->ended && placer_look(m->placer, g->id, &v))
			(void)fprintf(out,
				      "%s{vm=\"%s\",node=\"%d\"} %" PRIu64 "\n",
				      name, g->record.name, g->record.node,
				      policy_count_at(v.figures, offset));
}

void placement_metrics(const struct monitor *m, FILE *out)
{
	static const struct {
		const char *name, *help;
		size_t offset;
	} metrics[] = {
		{ "disco_placement_local_total",
		  "Cache misses in memory of the node that missed.",
		  offsetof(struct placement_figures, local) },
		{ "disco_placement_remote_total",
		  "Cache misses in memory of another node.",
		  offsetof(struct placement_figures, remote) },
		{ "disco_placement_moves_total",
		  "Pages that were moved to where they are used.",
		  offsetof(struct placement_figures, moves) },
		{ "disco_placement_failed_total",
		  "Pages that could not be moved.",
		  offsetof(struct placement_figures, failed) },
	};

	if (!placer_source(m->placer))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(metrics); i++)
		policy_metric(m, out, metrics[i].name, metrics[i].help,
			      metrics[i].offset);
}
