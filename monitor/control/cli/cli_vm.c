/* SPDX-License-Identifier: BSD-2-Clause */
/* disco ls, kill, pause, resume. */
#include <stdlib.h>
#include <string.h>

#include "monitor/control/base/column.h"
#include "monitor/control/cli/cli.h"
#include "monitor/control/cli/http_client.h"

enum { LS_JSON, LS_NAMES };

static const struct option_entry ls_options[] = {
	[LS_JSON] = { .name = "json", .help = "print the answer of the API" },
	[LS_NAMES] = { .name = "names", .help = "names only, one per line" },
	{ .name = NULL },
};

/* --- ls --- */

static long long number_of(json_t *vm, const char *key)
{
	return json_integer_value(json_object_get(vm, key));
}

static void print_vm(json_t *vm, int width)
{
	char up[24], end[64] = "-", cluster[2 * VM_NAME_MAX + 2] = "-";
	char nodes[NODE_LIST_TEXT_MAX];
	const char *word = cli_text(vm, "status_word");
	const char *role = cli_text(vm, "role");

	cli_duration((uint64_t)number_of(vm, "uptime_ms"), up, sizeof(up));
	if (*word)
		(void)snprintf(end, sizeof(end), "%lld %s",
			       number_of(vm, "status"), word);
	if (*cli_text(vm, "cluster"))
		(void)snprintf(cluster, sizeof(cluster), "%s%s%s",
			       cli_text(vm, "cluster"), *role ? "/" : "", role);
	printf("%-*s  %-10s  %4s  %4lld  %7lldM  %8s  %8lld  %-14s  %s\n",
	       width, cli_text(vm, "name"), cli_text(vm, "state"),
	       cli_nodes(vm, nodes), number_of(vm, "vcpus"),
	       number_of(vm, "memory_bytes") >> 20, up,
	       number_of(vm, "restarts"), end, cluster);
}

static void cli_vm_print_table(json_t *list)
{
	int width = 4;
	size_t i;
	json_t *vm;

	json_array_foreach(list, i, vm)
	{
		width = column_widest(width, cli_text(vm, "name"));
	}
	printf("%-*s  %-10s  %4s  %4s  %8s  %8s  %8s  %-14s  %s\n", width,
	       "NAME", "STATE", "NODE", "CPUS", "MEMORY", "UP", "RESTARTS",
	       "EXIT STATUS", "CLUSTER");
	for (i = 0; i < json_array_size(list); i++)
		print_vm(json_array_get(list, i), width);
}

static int ls_run(const struct command_args *a, struct diag *d)
{
	json_t *root = NULL, *list, *vm;
	size_t i;
	int err = http_json("GET", "/v1/vms", NULL, &root, d);

	if (err)
		return err;
	list = json_object_get(root, "vms");
	if (a->given[LS_JSON]) {
		cli_print_json(root);
	} else if (a->given[LS_NAMES]) {
		json_array_foreach(list, i, vm)
		{
			printf("%s\n", cli_text(vm, "name"));
		}
	} else {
		cli_vm_print_table(list);
	}
	json_decref(root);
	return ST_OK;
}

/* --- what is done to VMs --- */

static int cli_vm_act(const char *name, const char *action, struct diag *d)
{
	char path[CLI_PATH_MAX], *text = NULL;
	int err = cli_vm_path(name, action, path, d);

	if (err)
		return err;
	err = http_call("POST", path, NULL, &text, d);
	free(text);
	return err;
}

static int cli_vm_act_all(const struct command_args *a, struct diag *d)
{
	int err = 0;

	/* All are tried; the first that failed is told about. */
	for (unsigned i = 0; i < a->nr_words; i++) {
		int one = cli_vm_act(a->words[i], a->command->name, d);

		err = err ? err : one;
	}
	return err ? err : ST_OK;
}

/* --- the commands --- */

const struct command cli_ls = {
	.name = "ls",
	.brief = "list the VMs of the monitor",
	.help = "List the virtual machines of the monitor.",
	.options = { ls_options },
	.run = ls_run,
};

#define ACTS_ON_VMS                                                            \
	.words = "VM...", .min_words = 1, .max_words = COMMAND_MAX_WORDS,      \
	.run = cli_vm_act_all

const struct command cli_kill = {
	.name = "kill",
	.brief = "end VMs at once",
	.help = "End virtual machines at once, as if their power was cut.",
	ACTS_ON_VMS,
};

const struct command cli_pause = {
	.name = "pause",
	.brief = "pause VMs",
	.help = "Keep virtual machines from running until they are resumed.",
	ACTS_ON_VMS,
};

const struct command cli_resume = {
	.name = "resume",
	.brief = "resume paused VMs",
	.help = "Let paused virtual machines go on.",
	ACTS_ON_VMS,
};
