/* SPDX-License-Identifier: BSD-2-Clause */
/* disco move. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/control/cli.h"
#include "monitor/control/http_client.h"
#include "monitor/control/report.h"

enum { MOVE_JSON, MOVE_STALL };

const struct cli_command cli_move = {
	.name = "move",
	.words = "VM NODE",
	.help = "Move a running virtual machine to another NUMA node.",
	.min_words = 2,
	.max_words = 2,
	.options = { [MOVE_JSON] = { "json", NULL, "Print what the API says" },
		     [MOVE_STALL] = { "stall-ms", "MS",
				      "Hold it up so long at most (20)" } },
};

static int number(const char *text, unsigned long least, unsigned long *out,
		  struct diag *d)
{
	char *end;
	unsigned long v;

	errno = 0;
	v = strtoul(text, &end, 10);
	if (errno || end == text || *end || text[0] == '-' || v < least ||
	    v > INT32_MAX)
		return diag_fail(d, ST_USAGE, EINVAL,
				 "'%.64s' is not a number from %lu on", text,
				 least);
	*out = v;
	return 0;
}

static uint64_t figure(json_t *root, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(root, key));
}

static void print_moved(json_t *r)
{
	char ram[16], text[16];

	report_share(figure(r, "ram_pages_local"), figure(r, "ram_pages"), ram,
		     sizeof(ram));
	report_share(figure(r, "text_pages_local"), figure(r, "text_pages"),
		     text, sizeof(text));
	printf("%s: on node %d after %.3f s: %llu pages pulled, %llu not; "
	       "longest batch %.3f ms of %.0f, parked %.3f ms; memory %s, "
	       "text %s local\n",
	       json_string_value(json_object_get(r, "name")),
	       (int)figure(r, "node"), (double)figure(r, "total_ns") / 1e9,
	       (unsigned long long)figure(r, "pages"),
	       (unsigned long long)figure(r, "pages_failed"),
	       (double)figure(r, "longest_batch_ns") / 1e6,
	       (double)figure(r, "stall_bound_ns") / 1e6,
	       (double)figure(r, "parked_ns") / 1e6, ram, text);
}

static int call(const char *vm, unsigned long node, unsigned long ms,
		json_t **out, struct diag *d)
{
	char path[VM_NAME_MAX + 32], body[96];

	if (!vm_name_valid(vm))
		return diag_fail(d, ST_NO_VM, ENOENT, "no VM is named '%.64s'",
				 vm);
	(void)snprintf(path, sizeof(path), "/v1/vms/%s/move", vm);
	if (ms)
		(void)snprintf(body, sizeof(body),
			       "{\"node\": %lu, \"stall_ms\": %lu}", node, ms);
	else
		(void)snprintf(body, sizeof(body), "{\"node\": %lu}", node);
	return http_json("POST", path, body, out, d);
}

int move_main(int argc, char **argv, struct diag *d)
{
	unsigned long node = 0, ms = 0;
	struct cli_args a;
	json_t *root = NULL;
	int err = cli_parse(&cli_move, argc, argv, &a, d);

	if (err)
		return err < 0 ? err : ST_OK;
	err = number(a.words[1], 0, &node, d);
	if (!err && a.given[MOVE_STALL])
		err = number(a.value[MOVE_STALL], 1, &ms, d);
	if (!err)
		err = call(a.words[0], node, ms, &root, d);
	if (err)
		return err;
	if (a.given[MOVE_JSON]) {
		(void)json_dumpf(root, stdout, JSON_INDENT(2));
		printf("\n");
	} else {
		print_moved(root);
	}
	json_decref(root);
	return ST_OK;
}
