/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/cli/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/control/base/state_dir.h"
#include "monitor/control/cli/http_client.h"

int cli_number(const char *text, double least, double *out, struct diag *d)
{
	char *end;
	double v = strtod(text, &end);

	if (end == text || *end || !(v >= least) || v > 86400.0)
		return diag_fail(d, ST_USAGE, EINVAL,
				 "'%.64s' is not a number from %g to 86400",
				 text, least);
	*out = v;
	return 0;
}

int cli_period(const char *text, uint64_t *ns, struct diag *d)
{
	double seconds = 0;
	int err;

	if (strcmp(text, "off") == 0) {
		*ns = 0;
		return 0;
	}
	err = cli_number(text, 0.1, &seconds, d);
	if (!err)
		*ns = (uint64_t)(seconds * 1e9);
	return err;
}

int cli_whole(const char *text, double least, unsigned *out, struct diag *d)
{
	double v = 0;
	int err = cli_number(text, least, &v, d);

	if (!err && v != (unsigned)v)
		err = diag_fail(d, ST_USAGE, EINVAL,
				"'%.64s' is not a whole number", text);
	if (!err)
		*out = (unsigned)v;
	return err;
}

int cli_vm_path(const char *vm, const char *what, char path[CLI_PATH_MAX],
		struct diag *d)
{
	if (!vm_name_valid(vm))
		return diag_fail(d, ST_NO_VM, ENOENT, "no VM is named '%.64s'",
				 vm);
	(void)snprintf(path, CLI_PATH_MAX, "/v1/vms/%s/%s", vm, what);
	return 0;
}

void cli_print_json(const json_t *root)
{
	(void)json_dumpf(root, stdout, JSON_INDENT(2));
	printf("\n");
}

const char *cli_text(const json_t *of, const char *key)
{
	const char *s = json_string_value(json_object_get(of, key));

	return s ? s : "";
}

int cli_list(const char *path, const char *member, bool json,
	     void (*print)(json_t *list), struct diag *d)
{
	json_t *root = NULL;
	int err = http_json("GET", path, NULL, &root, d);

	if (err)
		return err;
	if (json)
		cli_print_json(root);
	else
		print(json_object_get(root, member));
	json_decref(root);
	return ST_OK;
}

const json_t *cli_find_vm(const json_t *list, const char *name)
{
	json_t *vm;
	size_t i;

	json_array_foreach(list, i, vm)
	{
		if (strcmp(cli_text(vm, "name"), name) == 0)
			return vm;
	}
	return NULL;
}

const char *cli_nodes(const json_t *vm, char buf[NODE_LIST_TEXT_MAX])
{
	const json_t *nodes = json_object_get(vm, "nodes");
	struct node_list l = { .nr = 0 };
	size_t i;
	json_t *node;

	json_array_foreach(nodes, i, node)
	{
		node_list_insert(&l, (nodeid_t)json_integer_value(node));
	}
	if (!l.nr)
		node_list_add(&l, (nodeid_t)json_integer_value(
					  json_object_get(vm, "node")));
	return node_list_text(&l, buf);
}

const char *cli_node_pages(const json_t *vm, char buf[CLI_NODE_PAGES_MAX])
{
	json_t *on = json_object_get(vm, "ram_on"), *entry;
	struct node_list l = { .nr = 0 };
	size_t i, len = 0;

	json_array_foreach(on, i, entry)
	{
		node_list_insert(&l, (nodeid_t)json_integer_value(
					     json_object_get(entry, "node")));
	}
	(void)snprintf(buf, CLI_NODE_PAGES_MAX, "-");
	for (unsigned k = 0; k < l.nr; k++)
		json_array_foreach(on, i, entry)
		{
			json_int_t node = -1, pages = 0;

			(void)json_unpack(entry, "{s:I, s:I}", "node", &node,
					  "pages", &pages);
			if (node == l.ids[k] && len + 40 < CLI_NODE_PAGES_MAX)
				len += (size_t)snprintf(
					buf + len, CLI_NODE_PAGES_MAX - len,
					"%s%d:%lldM", len ? " " : "", l.ids[k],
					(long long)pages >> 8);
		}
	return buf;
}

void cli_memory_age(const json_t *vm, char *out, size_t size)
{
	const json_t *age = json_object_get(vm, "ram_age_ms");
	bool exact = json_is_true(json_object_get(vm, "ram_exact"));

	if (json_is_integer(age))
		(void)snprintf(out, size, "%s%.1f s", exact ? "" : "~",
			       (double)json_integer_value(age) / 1e3);
	else
		(void)snprintf(out, size, "-");
}

void cli_duration(uint64_t ms, char *out, size_t size)
{
	unsigned long long s = ms / 1000, tenths = ms / 100 % 10;

	if (s < 60)
		(void)snprintf(out, size, "%llu.%llus", s, tenths);
	else if (s < 3600)
		(void)snprintf(out, size, "%llum%02llus", s / 60, s % 60);
	else
		(void)snprintf(out, size, "%lluh%02llum", s / 3600,
			       s / 60 % 60);
}
