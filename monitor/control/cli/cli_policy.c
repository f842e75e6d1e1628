/* SPDX-License-Identifier: BSD-2-Clause */
/* disco policy. */
#include "monitor/control/cli/cli.h"
#include "monitor/control/cli/http_client.h"

enum { POLICY_JSON, POLICY_LOG };

static const struct option_entry policy_options[] = {
	[POLICY_JSON] = { .name = "json",
			  .help = "print the answer of the API" },
	[POLICY_LOG] = { .name = "log",
			 .help = "print the latest decisions as well" },
	{ .name = NULL },
};

static double policy_number(const json_t *root, const char *key)
{
	return (double)json_integer_value(json_object_get(root, key));
}

static const char *policy_text(const json_t *root, const char *key)
{
	const char *text = json_string_value(json_object_get(root, key));

	return text ? text : "?";
}

static void print_writes(const json_t *s)
{
	printf("  of %.0f pages that were looked at %.0f were written by a "
	       "vCPU; %.3f s of CPU\n",
	       policy_number(s, "unmapped"), policy_number(s, "accessed"),
	       policy_number(s, "spent_ns") / 1e9);
}

static void print_samples(const json_t *s)
{
	printf("  of %.0f pages that were unmapped %.0f were accessed, %.0f of "
	       "these by no vCPU; %.3f s of CPU\n",
	       policy_number(s, "unmapped"), policy_number(s, "accessed"),
	       policy_number(s, "nobodys"), policy_number(s, "spent_ns") / 1e9);
}

/* The one line that says whether NUMA is the problem. */
static void print_policy(const char *vm, const json_t *r)
{
	double local = policy_number(r, "local");
	double all = local + policy_number(r, "remote");
	const char *source = policy_text(r, "source");
	bool counted = strcmp(source, "flash") == 0;

	printf("%s: %s, by %s: %.0f %s seen, ", vm, policy_text(r, "policy"),
	       source, all, counted ? "misses" : "accesses");
	if (all > 0)
		printf("%.1f %% of them local", 100 * local / all);
	else
		printf("none yet");
	printf("; %.0f pages moved in %.3f s, %.0f not, %.0f again within "
	       "10 s; %.3f s of CPU\n",
	       policy_number(r, "moves"), policy_number(r, "spent_ns") / 1e9,
	       policy_number(r, "failed"), policy_number(r, "bounced"),
	       policy_number(r, "cpu_ns") / 1e9);
	if (policy_number(r, "replicas") > 0)
		printf("  %.0f times pages were copied; %.0f pages lost their "
		       "copies by a write, %.0f otherwise\n",
		       policy_number(r, "replicas"),
		       policy_number(r, "collapsed"),
		       policy_number(r, "copies_ended"));
	if (policy_number(r, "unknown_node") > 0)
		printf("  %.0f more from nobody knows which node: the VM's "
		       "vCPUs are on several, and '%s' does not tell\n",
		       policy_number(r, "unknown_node"), source);
	if (strcmp(source, "faults") == 0)
		print_samples(json_object_get(r, "samples"));
	if (strcmp(source, "dirty") == 0)
		print_writes(json_object_get(r, "samples"));
}

static void print_reasons(json_t *r)
{
	const char *reason;
	json_t *count;

	json_object_foreach(json_object_get(r, "reasons"), reason,
			    count) if (json_integer_value(count))
		printf("  %10lld  %s\n", (long long)json_integer_value(count),
		       reason);
}

static void print_decisions(const json_t *r)
{
	json_t *d;
	size_t i;

	json_array_foreach(json_object_get(r, "decisions"), i, d)
	{
		double pages = policy_number(d, "pages");

		printf("  page %.0f", policy_number(d, "page"));
		if (pages > 1)
			printf(" and the next %.0f", pages - 1);
		printf(", node %.0f to %.0f: %s, %s (%s); gain "
		       "%.1f us, cost %.1f us, took %.1f us\n",
		       policy_number(d, "from"), policy_number(d, "to"),
		       policy_text(d, "action"), policy_text(d, "outcome"),
		       policy_text(d, "reason"),
		       policy_number(d, "gain_ns") / 1e3,
		       policy_number(d, "cost_ns") / 1e3,
		       policy_number(d, "spent_ns") / 1e3);
	}
}

static int cli_policy_call(const char *vm, const char *policy, json_t **out,
			   struct diag *d)
{
	char path[CLI_PATH_MAX], *body;
	json_t *root;
	int err = cli_vm_path(vm, "policy", path, d);

	if (err)
		return err;
	if (!policy)
		return http_json("GET", path, NULL, out, d);
	root = json_pack("{s:s}", "policy", policy);
	body = root ? json_dumps(root, 0) : NULL;
	json_decref(root);
	if (!body)
		return diag_fail(d, ST_USAGE, EINVAL,
				 "%s: not the name of a policy", policy);
	err = http_json("POST", path, body, out, d);
	free(body);
	return err;
}

static int cli_policy_run(const struct command_args *a, struct diag *d)
{
	const char *policy = a->nr_words > 1 ? a->words[1] : NULL;
	json_t *root = NULL;
	int err = cli_policy_call(a->words[0], policy, &root, d);

	if (err)
		return err;
	if (a->given[POLICY_JSON]) {
		cli_print_json(root);
	} else {
		print_policy(a->words[0], root);
		print_reasons(root);
		if (a->given[POLICY_LOG])
			print_decisions(root);
	}
	json_decref(root);
	return ST_OK;
}

const struct command cli_policy = {
	.name = "policy",
	.brief = "show or change where a VM's pages are moved",
	.words = "VM [NAME[,KEY=N]...]",
	.help = "Show the policy by which pages of a running virtual machine "
		"are moved between NUMA nodes, and what it has done; or "
		"choose another one.",
	.min_words = 1,
	.max_words = 2,
	.options = { policy_options },
	.run = cli_policy_run,
};
