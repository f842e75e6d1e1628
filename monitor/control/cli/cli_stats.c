/* SPDX-License-Identifier: BSD-2-Clause */
/* disco stats, topology. */
#include <time.h>

#include "monitor/control/cli/cli.h"
#include "monitor/control/cli/http_client.h"
#include "monitor/control/run/report.h"

enum {
	STATS_JSON,
	STATS_CSV,
	STATS_EXACT,
	STATS_PAIRS,
	STATS_WATCH,
	STATS_COUNT
};
enum { TOPOLOGY_JSON };

static const struct option_entry stats_options[] = {
	[STATS_JSON] = { .name = "json",
			 .help = "print the answer of the API" },
	[STATS_CSV] = { .name = "csv",
			.help = "one line of names, one line per VM" },
	[STATS_EXACT] = { .name = "exact",
			  .help = "look at all memory, however long it takes" },
	[STATS_PAIRS] = { .name = "pairs",
			  .help = "who exchanges frames with whom, and what "
				  "was dropped" },
	[STATS_WATCH] = { .name = "watch",
			  .arg = "SECONDS",
			  .help = "repeat the output every SECONDS" },
	[STATS_COUNT] = { .name = "count",
			  .arg = "N",
			  .help = "with --watch: print N times" },
	{ .name = NULL },
};

static const struct option_entry topology_options[] = {
	[TOPOLOGY_JSON] = { .name = "json",
			    .help = "print the answer of the API" },
	{ .name = NULL },
};

static const char *const csv_keys[] = { "name",
					"state",
					"node",
					"uptime_ms",
					"cpu_ns",
					"exits",
					"ram_pages",
					"ram_pages_local",
					"private_bytes",
					"text_pages",
					"text_pages_local",
					"moves",
					"moved_pages",
					"longest_stall_ns",
					"ram_age_ms",
					"ram_exact",
					"nodes",
					"ram_on" };

/* What is no list is printed as it is; null is nothing. */
static void print_csv_value(const json_t *vm, const char *key)
{
	char nodes[NODE_LIST_TEXT_MAX], pages[CLI_NODE_PAGES_MAX];
	json_t *v = json_object_get(vm, key);

	if (json_is_string(v))
		printf("%s", json_string_value(v));
	else if (strcmp(key, "nodes") == 0)
		printf("%s", cli_nodes(vm, nodes));
	else if (strcmp(key, "ram_on") == 0)
		printf("%s", cli_node_pages(vm, pages));
	else if (json_is_boolean(v))
		printf("%d", json_is_true(v));
	else if (!json_is_null(v))
		printf("%lld", (long long)json_integer_value(v));
}

static void print_csv(json_t *list)
{
	size_t i;
	json_t *vm;

	for (size_t k = 0; k < ARRAY_SIZE(csv_keys); k++)
		printf("%s%s", k ? "," : "", csv_keys[k]);
	printf("\n");
	json_array_foreach(list, i, vm)
	{
		for (size_t k = 0; k < ARRAY_SIZE(csv_keys); k++) {
			printf("%s", k ? "," : "");
			print_csv_value(vm, csv_keys[k]);
		}
		printf("\n");
	}
}

static void stats_print_table(json_t *list)
{
	size_t i;
	json_t *vm;

	printf("%-16s  %-10s  %4s  %9s  %10s  %8s  %8s  %9s  %9s  %s\n", "NAME",
	       "STATE", "NODE", "CPU s", "EXITS", "MEMORY", "LOCAL", "PRIVATE",
	       "AGE", "MEMORY BY NODE");
	json_array_foreach(list, i, vm)
	{
		const char *name = "", *state = "";
		json_int_t cpu = 0, exits = 0, pages = 0, local = 0, own = 0;
		char share[16], age[32], nodes[NODE_LIST_TEXT_MAX];
		char by_node[CLI_NODE_PAGES_MAX];

		if (json_unpack(vm, "{s:s, s:s, s:I, s:I, s:I, s:I, s:I}",
				"name", &name, "state", &state, "cpu_ns", &cpu,
				"exits", &exits, "ram_pages", &pages,
				"ram_pages_local", &local, "private_bytes",
				&own) < 0)
			continue;
		report_share((uint64_t)local, (uint64_t)pages, share,
			     sizeof(share));
		cli_memory_age(vm, age, sizeof(age));
		printf("%-16s  %-10s  %4s  %9.2f  %10lld  %7lldM  %8s  "
		       "%8lldK  %9s  %s\n",
		       name, state, cli_nodes(vm, nodes), (double)cpu / 1e9,
		       (long long)exits, (long long)pages >> 8, share,
		       (long long)own >> 10, age, cli_node_pages(vm, by_node));
	}
}

static void stats_print_pairs(json_t *list)
{
	size_t i, k;
	json_t *vm, *net;

	cli_pairs_head();
	json_array_foreach(list, i, vm)
	{
		json_array_foreach(json_object_get(vm, "nets"), k, net)
		{
			cli_pairs_print(cli_text(net, "name"),
					cli_text(vm, "name"), net);
		}
	}
}

static int stats_once(const struct command_args *a, struct diag *d)
{
	json_t *root = NULL, *list;
	const char *path = a->given[STATS_EXACT] ? "/v1/stats?exact=1"
						 : "/v1/stats";
	int err = http_json("GET", path, NULL, &root, d);

	if (err)
		return err;
	list = json_object_get(root, "vms");
	if (a->given[STATS_JSON]) {
		cli_print_json(root);
	} else if (a->given[STATS_CSV]) {
		print_csv(list);
	} else if (a->given[STATS_PAIRS]) {
		stats_print_pairs(list);
	} else {
		stats_print_table(list);
	}
	json_decref(root);
	return 0;
}

static int stats_run(const struct command_args *a, struct diag *d)
{
	struct timespec nap = { 0 };
	double wait = 0.0, count = 0.0;
	int err = 0;

	if (a->given[STATS_WATCH])
		err = cli_number(a->value[STATS_WATCH], 0.1, &wait, d);
	if (!err && a->given[STATS_COUNT])
		err = cli_number(a->value[STATS_COUNT], 1.0, &count, d);
	nap.tv_sec = (time_t)wait;
	nap.tv_nsec = (long)((wait - (double)nap.tv_sec) * 1e9);
	while (!err) {
		err = stats_once(a, d);
		if (err || !a->given[STATS_WATCH] ||
		    (a->given[STATS_COUNT] && --count < 1.0))
			break;
		(void)fflush(stdout);
		(void)nanosleep(&nap, NULL);
	}
	return err ? err : ST_OK;
}

/* --- topology --- */

static void print_cpus(json_t *cpus, char *out, size_t size)
{
	size_t n = json_array_size(cpus), len = 0;

	out[0] = '\0';
	for (size_t i = 0; i < n && len + 16 < size;) {
		long long first = json_integer_value(json_array_get(cpus, i));
		long long last = first;

		while (++i < n &&
		       json_integer_value(json_array_get(cpus, i)) == last + 1)
			last++;
		len += (size_t)snprintf(out + len, size - len, "%s%lld",
					len ? "," : "", first);
		if (last > first && len + 16 < size)
			len += (size_t)snprintf(out + len, size - len, "-%lld",
						last);
	}
}

static void print_nodes(json_t *list)
{
	size_t i, k;
	json_t *node, *far;

	printf("%4s  %10s  %10s  %3s  %-12s  %s\n", "NODE", "MEMORY", "FREE",
	       "VMS", "CPUS", "DISTANCES");
	json_array_foreach(list, i, node)
	{
		char cpus[256];

		print_cpus(json_object_get(node, "cpus"), cpus, sizeof(cpus));
		printf("%4lld  %9lldM  %9lldM  %3lld  %-12s ",
		       (long long)json_integer_value(
			       json_object_get(node, "id")),
		       (long long)json_integer_value(
			       json_object_get(node, "memory_bytes")) >>
			       20,
		       (long long)json_integer_value(
			       json_object_get(node, "free_bytes")) >>
			       20,
		       (long long)json_integer_value(
			       json_object_get(node, "vms")),
		       *cpus ? cpus : "-");
		json_array_foreach(json_object_get(node, "distance"), k, far)
		{
			printf(" %lld", (long long)json_integer_value(far));
		}
		printf("\n");
	}
}

static int topology_run(const struct command_args *a, struct diag *d)
{
	return cli_list("/v1/topology", "nodes", a->given[TOPOLOGY_JSON],
			print_nodes, d);
}

const struct command cli_stats = {
	.name = "stats",
	.brief = "print the figures of VMs",
	.help = "Print figures of each virtual machine.",
	.options = { stats_options },
	.run = stats_run,
};

const struct command cli_topology = {
	.name = "topology",
	.brief = "print the NUMA nodes",
	.help = "Print the NUMA nodes as the monitor sees them.",
	.options = { topology_options },
	.run = topology_run,
};
