/* SPDX-License-Identifier: BSD-2-Clause */
/* disco move. */
#include <errno.h>
#include <string.h>

#include "monitor/control/cli/cli.h"
#include "monitor/control/cli/http_client.h"
#include "monitor/control/run/report.h"

enum { MOVE_JSON, MOVE_STALL };

static const struct option_entry move_options[] = {
	[MOVE_JSON] = { .name = "json", .help = "print the answer of the API" },
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

static void print_vcpu_moved(json_t *r)
{
	char nodes[NODE_LIST_TEXT_MAX];

	printf("%s/%d: on node %d; its VM is on %s\n",
	       json_string_value(json_object_get(r, "name")),
	       (int)cli_move_figure(r, "vcpu"), (int)cli_move_figure(r, "node"),
	       cli_nodes(r, nodes));
}

/* @what: "VM", or "VM/VCPU". @vcpu: out; -1: none. */
static int cli_move_split(const char *what, char vm[VM_NAME_MAX + 1], int *vcpu,
			  struct diag *d)
{
	size_t len = strcspn(what, "/");
	unsigned nr = 0;
	int err;

	*vcpu = -1;
	if (len > VM_NAME_MAX)
		return diag_fail(d, ST_NO_VM, ENOENT, "no VM is named '%.64s'",
				 what);
	memcpy(vm, what, len);
	vm[len] = '\0';
	if (!what[len])
		return 0;
	err = cli_whole(what + len + 1, 0, &nr, d);
	if (!err && nr >= VM_MAX_VCPUS)
		err = diag_fail(d, ST_USAGE, EINVAL,
				"%s: a VM has at most %d virtual CPUs", what,
				VM_MAX_VCPUS);
	if (!err)
		*vcpu = (int)nr;
	return err;
}

/* @vcpu: -1: all of the VM. @ms: 0: as the monitor was told. */
static int cli_move_call(const char *vm, int vcpu, unsigned node, unsigned ms,
			 json_t **out, struct diag *d)
{
	char path[CLI_PATH_MAX], body[128], of[32] = "", stall[40] = "";
	int err = cli_vm_path(vm, "move", path, d);

	if (err)
		return err;
	if (vcpu >= 0)
		(void)snprintf(of, sizeof(of), ", \"vcpu\": %d", vcpu);
	if (ms)
		(void)snprintf(stall, sizeof(stall), ", \"stall_ms\": %u", ms);
	(void)snprintf(body, sizeof(body), "{\"node\": %u%s%s}", node, of,
		       stall);
	return http_json("POST", path, body, out, d);
}

static int cli_move_run(const struct command_args *a, struct diag *d)
{
	char vm[VM_NAME_MAX + 1];
	unsigned node = 0, ms = 0;
	json_t *root = NULL;
	int vcpu = -1, err = cli_move_split(a->words[0], vm, &vcpu, d);

	if (!err)
		err = cli_whole(a->words[1], 0, &node, d);
	if (!err && a->given[MOVE_STALL])
		err = cli_whole(a->value[MOVE_STALL], 1, &ms, d);
	if (!err)
		err = cli_move_call(vm, vcpu, node, ms, &root, d);
	if (err)
		return err;
	if (a->given[MOVE_JSON]) {
		cli_print_json(root);
	} else if (vcpu >= 0) {
		print_vcpu_moved(root);
	} else {
		print_moved(root);
	}
	json_decref(root);
	return ST_OK;
}

const struct command cli_move = {
	.name = "move",
	.brief = "move a VM, or one of its CPUs, to another node",
	.words = "VM[/VCPU] NODE",
	.help = "Move a running virtual machine to another NUMA node: all of "
		"it, or one of its virtual CPUs, without memory.",
	.min_words = 2,
	.max_words = 2,
	.options = { move_options },
	.run = cli_move_run,
};
