/* SPDX-License-Identifier: BSD-2-Clause */
/* disco shm ls, replicate, collapse. */
#include <string.h>

#include "monitor/control/base/column.h"
#include "monitor/control/base/size.h"
#include "monitor/control/cli/cli.h"
#include "monitor/control/cli/http_client.h"

enum { SHM_LS_JSON };

static const struct option_entry shm_ls_options[] = {
	[SHM_LS_JSON] = { .name = "json",
			  .help = "print the answer of the API" },
	{ .name = NULL },
};

static void shm_size(json_t *of, const char *key, char buf[SIZE_TEXT_MAX])
{
	json_int_t n = json_integer_value(json_object_get(of, key));

	(void)size_text(n < 0 ? 0 : (uint64_t)n, buf);
}

static void shm_node(json_t *of, const char *none, char buf[16])
{
	json_t *node = json_object_get(of, "node");

	if (json_is_integer(node))
		(void)snprintf(buf, 16, "%d", (int)json_integer_value(node));
	else
		(void)snprintf(buf, 16, "%s", none);
}

static void shm_percent(json_t *of, char buf[16])
{
	json_t *v = json_object_get(of, "local_percent");

	if (json_is_real(v))
		(void)snprintf(buf, 16, "%.0f%%", json_real_value(v));
	else
		(void)snprintf(buf, 16, "-");
}

static void shm_copies(json_t *shm, char buf[24])
{
	json_t *v = json_object_get(json_object_get(shm, "replicas"), "copies");

	if (json_is_integer(v))
		(void)snprintf(buf, 24, "%lld",
			       (long long)json_integer_value(v));
	else
		(void)snprintf(buf, 24, "-");
}

/* A line per VM; what is the segment's is in the first one. */
static void print_shm(json_t *shm, int name_width, int vm_width)
{
	char size[SIZE_TEXT_MAX], used[SIZE_TEXT_MAX], home[16], node[16];
	char copies[24], local[16];
	size_t i;
	json_t *vm;

	shm_size(shm, "bytes", size);
	shm_size(shm, "used_bytes", used);
	shm_node(shm, "any", home);
	shm_copies(shm, copies);
	json_array_foreach(json_object_get(shm, "vms"), i, vm)
	{
		shm_node(vm, "-", node);
		shm_percent(vm, local);
		printf("%-*s  %10s  %10s  %4s  %8s  %-*s  %4s  %5s\n",
		       name_width, i ? "" : cli_text(shm, "name"),
		       i ? "" : size, i ? "" : used, i ? "" : home,
		       i ? "" : copies, vm_width, cli_text(vm, "vm"), node,
		       local);
	}
}

static void print_shms(json_t *list)
{
	int name_width = 7, vm_width = 2;
	size_t i, k;
	json_t *shm, *vm;

	json_array_foreach(list, i, shm)
	{
		name_width = column_widest(name_width, cli_text(shm, "name"));
		json_array_foreach(json_object_get(shm, "vms"), k, vm)
		{
			vm_width = column_widest(vm_width, cli_text(vm, "vm"));
		}
	}
	printf("%-*s  %10s  %10s  %4s  %8s  %-*s  %4s  %5s\n", name_width,
	       "SEGMENT", "SIZE", "USED", "HOME", "REPLICAS", vm_width, "VM",
	       "NODE", "LOCAL");
	json_array_foreach(list, i, shm)
	{
		print_shm(shm, name_width, vm_width);
	}
}

static int shm_ls_run(const struct command_args *a, struct diag *d)
{
	return cli_list("/v1/shms", "shms", a->given[SHM_LS_JSON], print_shms,
			d);
}

static const struct command shm_ls = {
	.group = "shm",
	.name = "ls",
	.brief = "list the segments that the monitor's VMs share",
	.help = "List the shared segments of the monitor's virtual machines "
		"(run --shm), and who maps them.",
	.options = { shm_ls_options },
	.run = shm_ls_run,
};

static int shm_ask(const struct command_args *a, const char *what,
		   struct diag *d)
{
	char path[128];
	json_t *root = NULL;
	int err;

	(void)snprintf(path, sizeof(path), "/v1/shms/%s/%s", a->words[0], what);
	err = http_json("POST", path, NULL, &root, d);
	json_decref(root);
	return err ? err : ST_OK;
}

static int shm_replicate_run(const struct command_args *a, struct diag *d)
{
	return shm_ask(a, "replicate", d);
}

static int shm_collapse_run(const struct command_args *a, struct diag *d)
{
	return shm_ask(a, "collapse", d);
}

static const struct command shm_replicate = {
	.group = "shm",
	.name = "replicate",
	.words = "SEGMENT",
	.brief = "copy a segment to the nodes of its VMs",
	.help = "Copy the pages of a segment to the nodes of its VMs, as far "
		"as "
		"nobody writes them. 'disco shm ls' shows how many copies "
		"there "
		"are. A page that is written has none from then on.",
	.min_words = 1,
	.max_words = 1,
	.run = shm_replicate_run,
};

static const struct command shm_collapse = {
	.group = "shm",
	.name = "collapse",
	.words = "SEGMENT",
	.brief = "remove the copies of a segment",
	.help = "Remove all copies of the pages of a segment.",
	.min_words = 1,
	.max_words = 1,
	.run = shm_collapse_run,
};

static const struct command *const shm_commands[] = { &shm_ls, &shm_replicate,
						      &shm_collapse, NULL };

const struct command cli_shm = {
	.name = "shm",
	.brief = "look at the memory that VMs share",
	.commands = shm_commands,
};
