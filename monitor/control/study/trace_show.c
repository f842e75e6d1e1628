/* SPDX-License-Identifier: BSD-2-Clause */
/* disco trace info, export. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "memory/placement/policies.h"
#include "memory/sim/replay.h"
#include "monitor/control/study/trace_commands.h"

int trace_open_path(const char *path, struct trace_reader **out, struct diag *d)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err;

	if (fd < 0)
		return diag_fail(d, ST_TRACE, errno, "%s: %s", path,
				 strerror(errno));
	err = trace_open(out, fd, path, d);
	if (err)
		(void)close(fd);
	return err;
}

/* --- what is counted ------------------------------------------------------ */

struct trace_summary {
	uint64_t first_ns, last_ns;
	uint64_t weight, local, remote; /* of known home and node */
	uint64_t kinds[3], classes[ACCESS_NR_CLASSES];
	uint64_t of_node[POLICY_MAX_NODES + 1]; /* the last one: unknown */
	uint64_t events[TRACE_NR_EVENT_KINDS];
};

static void trace_sum_records(struct trace_summary *s,
			      const struct trace_chunk *c)
{
	for (uint32_t i = 0; i < c->nr; i++) {
		const struct access_record *r = &c->records[i];

		s->weight += r->weight;
		s->kinds[r->kind]++;
		s->classes[r->class]++;
		s->of_node[min_u64(r->node, POLICY_MAX_NODES)]++;
		if (r->node == ACCESS_NO_NODE || r->home == ACCESS_NO_NODE)
			continue;
		if (r->node == r->home)
			s->local += r->weight;
		else
			s->remote += r->weight;
	}
	if (!c->nr)
		return;
	if (!c->first)
		s->first_ns = c->records[0].time_ns;
	s->last_ns = c->records[c->nr - 1].time_ns;
}

static const char *const trace_actions[] = { "stay", "move", "replicate" };

static void trace_print_decision(const struct trace_event *e)
{
	printf("%.6f s: vm %u, page %llu, node %u to %u: %s (%s); gain %.1f "
	       "us, cost %.1f us\n",
	       (double)e->time_ns / 1e9, e->vm,
	       (unsigned long long)e->decision.page, e->decision.from,
	       e->decision.to, trace_actions[e->decision.action],
	       policy_reason_text(e->decision.reason),
	       (double)e->decision.gain_ns / 1e3,
	       (double)e->decision.cost_ns / 1e3);
}

static void trace_print_event(const struct trace_event *e, bool decisions)
{
	if (e->kind == TRACE_MARK)
		printf("%.6f s: mark: %.*s\n", (double)e->time_ns / 1e9,
		       (int)sizeof(e->text), e->text);
	if (e->kind == TRACE_POLICY)
		printf("%.6f s: vm %u: policy %.*s%s\n",
		       (double)e->time_ns / 1e9, e->vm, (int)sizeof(e->text),
		       e->text, e->more ? "..." : "");
	if (e->kind == TRACE_LOST)
		printf("vm %u: %llu accesses or events are missing here\n",
		       e->vm, (unsigned long long)e->lost.nr);
	if (e->kind == TRACE_DECISION && decisions)
		trace_print_decision(e);
}

/* Read it all. @replay: NULL: not wanted. */
static int trace_summarize(struct trace_reader *r, struct trace_summary *s,
			   struct replay *replay, bool events, bool decisions,
			   struct diag *d)
{
	struct trace_chunk c;
	int got;

	while ((got = trace_next(r, &c, d)) > 0) {
		trace_sum_records(s, &c);
		for (uint32_t i = 0; i < c.nr_events; i++) {
			s->events[c.events[i].kind]++;
			if (events)
				trace_print_event(&c.events[i], decisions);
		}
		if (replay && replay_feed(replay, &c, d))
			return -EINVAL;
	}
	return got;
}

/* --- info ----------------------------------------------------------------- */

static void trace_print_machine(const struct trace_info *i)
{
	printf("%u nodes, latency of a miss in ns by node that accesses, then "
	       "by home:\n",
	       i->nr_nodes);
	for (uint32_t a = 0; a < i->nr_nodes; a++) {
		printf("  node %d, %u CPUs:", i->nodes[a].number,
		       i->nodes[a].cpus);
		for (uint32_t b = 0; b < i->nr_nodes; b++)
			printf(" %u", i->latency_ns[a * i->nr_nodes + b]);
		printf("\n");
	}
	for (uint32_t v = 0; v < i->nr_vms; v++)
		printf("VM %u: %s, %llu pages (%.1f MiB)%s%s\n", v,
		       i->vms[v].name, (unsigned long long)i->vms[v].pages,
		       (double)i->vms[v].pages * PAGE_BYTES / (double)MIB(1),
		       i->vms[v].policy[0] ? ", policy " : "",
		       i->vms[v].policy);
}

static void trace_print_summary(const struct trace_reader *r,
				const struct trace_summary *s)
{
	const struct trace_totals *t = trace_totals(r);
	const struct trace_info *i = trace_info(r);
	uint64_t known = s->local + s->remote;

	printf("%llu accesses (%llu reads, %llu writes, %llu unknown) that "
	       "stand for %llu, in %.3f s; %.2f bytes each\n",
	       (unsigned long long)t->accesses,
	       (unsigned long long)s->kinds[POLICY_READ],
	       (unsigned long long)s->kinds[POLICY_WRITE],
	       (unsigned long long)s->kinds[POLICY_UNKNOWN],
	       (unsigned long long)s->weight,
	       (double)(s->last_ns - s->first_ns) / 1e9,
	       t->accesses ? (double)trace_file_bytes(r) / (double)t->accesses
			   : 0.0);
	if (known)
		printf("%.1f %% of them local, as recorded\n",
		       100 * (double)s->local / (double)known);
	for (uint32_t n = 0; n < i->nr_nodes; n++)
		printf("  node %d: %llu accesses\n", i->nodes[n].number,
		       (unsigned long long)s->of_node[n]);
	if (s->of_node[POLICY_MAX_NODES])
		printf("  no node: %llu accesses\n",
		       (unsigned long long)s->of_node[POLICY_MAX_NODES]);
	printf("%llu decisions, %llu of moves that were made or tried\n",
	       (unsigned long long)s->events[TRACE_DECISION],
	       (unsigned long long)s->events[TRACE_DONE]);
	printf("%llu lost%s\n", (unsigned long long)t->lost,
	       trace_is_cut(r) ? "; the file was cut: its recorder was killed, "
				 "or still writes"
			       : "");
}

static json_t *trace_summary_json(const struct trace_reader *r,
				  const struct trace_summary *s)
{
	const struct trace_totals *t = trace_totals(r);
	const struct trace_info *i = trace_info(r);
	json_t *vms = json_array(), *latency = json_array();

	for (uint32_t v = 0; v < i->nr_vms; v++)
		(void)json_array_append_new(
			vms,
			json_pack("{s:s, s:I, s:s}", "name", i->vms[v].name,
				  "pages", (json_int_t)i->vms[v].pages,
				  "policy", i->vms[v].policy));
	for (uint32_t n = 0; n < i->nr_nodes * i->nr_nodes; n++)
		(void)json_array_append_new(latency,
					    json_integer(i->latency_ns[n]));
	return json_pack(
		"{s:s, s:s, s:i, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
		"s:I, s:I, s:b}",
		"origin", i->origin, "text", i->text, "nodes", (int)i->nr_nodes,
		"latency_ns", latency, "vms", vms, "accesses",
		(json_int_t)t->accesses, "weight", (json_int_t)s->weight,
		"local", (json_int_t)s->local, "remote", (json_int_t)s->remote,
		"duration_ns", (json_int_t)(s->last_ns - s->first_ns),
		"decisions", (json_int_t)s->events[TRACE_DECISION], "marks",
		(json_int_t)s->events[TRACE_MARK], "lost", (json_int_t)t->lost,
		"file_bytes", (json_int_t)trace_file_bytes(r), "cut",
		(int)trace_is_cut(r));
}

static int trace_print_replay(const struct replay_result *r, struct diag *d)
{
	if (!r->engines)
		return diag_fail(d, ST_TRACE, ENODATA,
				 "no engine was recorded in it");
	printf("replayed: %llu of %llu decisions are the same%s\n",
	       (unsigned long long)r->equal, (unsigned long long)r->decisions,
	       r->lost ? ", as far as nothing was lost" : "");
	if (r->equal == r->decisions)
		return 0;
	printf("the first that differ, as recorded and as replayed:\n");
	trace_print_decision(&r->recorded);
	trace_print_decision(&r->replayed);
	return diag_fail(d, ST_TRACE, EBADMSG,
			 "the engine does not decide as it did when this was "
			 "recorded");
}

static int trace_show_info(struct trace_reader *r, struct replay *replay,
			   const struct command_args *a, struct diag *d)
{
	const struct trace_info *i = trace_info(r);
	bool json = a->given[TRACE_INFO_JSON];
	struct trace_summary s = { 0 };
	int err;

	if (!json) {
		printf("%s: by %s%s%s\n", a->words[0],
		       i->origin[0] ? i->origin : "?", i->text[0] ? ": " : "",
		       i->text);
		trace_print_machine(i);
	}
	err = trace_summarize(r, &s, replay, !json,
			      a->given[TRACE_INFO_DECISIONS], d);
	if (err)
		return err;
	if (json) {
		json_t *root = trace_summary_json(r, &s);

		(void)json_dumpf(root, stdout, JSON_INDENT(2));
		printf("\n");
		json_decref(root);
	} else {
		trace_print_summary(r, &s);
	}
	return replay ? trace_print_replay(replay_end(replay), d) : 0;
}

int trace_run_info(const struct command_args *a, struct diag *d)
{
	struct trace_reader *r = NULL;
	struct replay *replay = NULL;
	int err = trace_open_path(a->words[0], &r, d);

	if (!err && a->given[TRACE_INFO_CHECK] &&
	    replay_create(&replay, trace_info(r), NULL))
		err = diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	if (!err)
		err = trace_show_info(r, replay, a, d);
	replay_destroy(replay);
	trace_close(r);
	return err;
}

/* --- export --------------------------------------------------------------- */

static const char *const trace_kinds[] = { "r", "w", "?" };
static const char *const trace_classes[ACCESS_NR_CLASSES] = { "miss", "fault",
							      "bit", "dirty" };

/* An empty text where it is @none. */
static const char *trace_field(uint64_t v, uint64_t none, char buf[24])
{
	buf[0] = '\0';
	if (v != none)
		(void)snprintf(buf, 24, "%llu", (unsigned long long)v);
	return buf;
}

static void trace_export_csv(const struct access_record *r, const char *mark)
{
	char vcpu[24], node[24], home[24];

	printf("%llu,%u,%s,%s,%s,%llu,%s,%u,%s,%s\n",
	       (unsigned long long)r->time_ns, r->vm,
	       trace_field(r->vcpu, ACCESS_NO_VCPU, vcpu),
	       trace_field(r->node, ACCESS_NO_NODE, node),
	       trace_field(r->home, ACCESS_NO_NODE, home),
	       (unsigned long long)r->page, trace_kinds[r->kind], r->weight,
	       trace_classes[r->class], mark);
}

static void trace_export_json(const struct access_record *r, const char *mark)
{
	char vcpu[24], node[24], home[24];
	json_t *text = json_string(mark);
	char *quoted = json_dumps(text, JSON_ENCODE_ANY);

	(void)trace_field(r->vcpu, ACCESS_NO_VCPU, vcpu);
	(void)trace_field(r->node, ACCESS_NO_NODE, node);
	(void)trace_field(r->home, ACCESS_NO_NODE, home);
	printf("{\"time_ns\":%llu,\"vm\":%u,\"vcpu\":%s,\"node\":%s,"
	       "\"home\":%s,\"page\":%llu,\"kind\":\"%s\",\"weight\":%u,"
	       "\"class\":\"%s\",\"mark\":%s}\n",
	       (unsigned long long)r->time_ns, r->vm, *vcpu ? vcpu : "null",
	       *node ? node : "null", *home ? home : "null",
	       (unsigned long long)r->page, trace_kinds[r->kind], r->weight,
	       trace_classes[r->class], quoted ? quoted : "null");
	free(quoted);
	json_decref(text);
}

static void trace_export_chunk(const struct trace_chunk *c, bool json,
			       char mark[TRACE_EVENT_TEXT])
{
	uint32_t event = 0;

	for (uint32_t i = 0; i <= c->nr; i++) {
		for (; event < c->nr_events &&
		       c->events[event].at <= c->first + i;
		     event++)
			if (c->events[event].kind == TRACE_MARK)
				(void)snprintf(mark, TRACE_EVENT_TEXT, "%s",
					       c->events[event].text);
		if (i == c->nr)
			break;
		if (json)
			trace_export_json(&c->records[i], mark);
		else
			trace_export_csv(&c->records[i], mark);
	}
}

int trace_run_export(const struct command_args *a, struct diag *d)
{
	char mark[TRACE_EVENT_TEXT] = "";
	bool json = a->given[TRACE_EXPORT_JSON];
	struct trace_reader *r = NULL;
	struct trace_chunk c;
	int got = trace_open_path(a->words[0], &r, d);

	if (got)
		return got;
	if (!json)
		printf("time_ns,vm,vcpu,node,home,page,kind,weight,class,"
		       "mark\n");
	while ((got = trace_next(r, &c, d)) > 0 && !ferror(stdout))
		trace_export_chunk(&c, json, mark);
	trace_close(r);
	return got < 0 ? got : 0;
}
