/* SPDX-License-Identifier: BSD-2-Clause */
/* disco move. */
#include "monitor/control/cli/cli.h"
#include "monitor/control/cli/http_client.h"
#include "monitor/control/run/report.h"

enum { MOVE_JSON, MOVE_STALL };

static const struct option_entry move_options[] = {
	[MOVE_JSON] = { .name = "json", .help = "print what the API says" },
	[MOVE_STALL] = { .name = "stall-ms",
			 .arg = "MS",
			 .help = "longest stall (default the monitor's, which "
				 "is 20 unless it was told otherwise)" },
	{ .name = NULL },
};

static uint64_t cli_move_figure(json_t *root, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(root, key));
}

static void print_moved(json_t *r)
{
	char ram[16], text[16];

	report_share(cli_move_figure(r, "ram_pages_local"),
		     cli_move_figure(r, "ram_pages"), ram, sizeof(ram));
	report_share(cli_move_figure(r, "text_pages_local"),
		     cli_move_figure(r, "text_pages"), text, sizeof(text));
	printf("%s: on node %d after %.3f s: %llu pages pulled, %llu not; "
	       "longest batch %.3f ms of %.0f, parked %.3f ms; memory %s, "
	       "text %s local\n",
	       json_string_value(json_object_get(r, "name")),
	       (int)cli_move_figure(r, "node"),
	       (double)cli_move_figure(r, "total_ns") / 1e9,
	       (unsigned long long)cli_move_figure(r, "pages"),
	       (unsigned long long)cli_move_figure(r, "pages_failed"),
	       (double)cli_move_figure(r, "longest_batch_ns") / 1e6,
	       (double)cli_move_figure(r, "stall_bound_ns") / 1e6,
	       (double)cli_move_figure(r, "parked_ns") / 1e6, ram, text);
}

/* @ms: 0: as the monitor was told. */
static int cli_move_call(const char *vm, unsigned node, unsigned ms,
			 json_t **out, struct diag *d)
{
	char path[CLI_PATH_MAX], body[96];
	int err = cli_vm_path(vm, "move", path, d);

	if (err)
		return err;
	if (ms)
		(void)snprintf(body, sizeof(body),
			       "{\"node\": %u, \"stall_ms\": %u}", node, ms);
	else
		(void)snprintf(body, sizeof(body), "{\"node\": %u}", node);
	return http_json("POST", path, body, out, d);
}

static int cli_move_run(const struct command_args *a, struct diag *d)
{
	unsigned node = 0, ms = 0;
	json_t *root = NULL;
	int err = cli_whole(a->words[1], 0, &node, d);

	if (!err && a->given[MOVE_STALL])
		err = cli_whole(a->value[MOVE_STALL], 1, &ms, d);
	if (!err)
		err = cli_move_call(a->words[0], node, ms, &root, d);
	if (err)
		return err;
	if (a->given[MOVE_JSON]) {
		cli_print_json(root);
	} else {
		print_moved(root);
	}
	json_decref(root);
	return ST_OK;
}

const struct command cli_move = {
	.name = "move",
	.brief = "move a VM to another node",
	.words = "VM NODE",
	.help = "Move a running virtual machine to another NUMA node.",
	.min_words = 2,
	.max_words = 2,
	.options = { move_options },
	.run = cli_move_run,
};
