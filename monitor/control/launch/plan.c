/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/launch/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/control/base/column.h"
#include "monitor/control/base/size.h"
#include "monitor/control/config/vm_options.h"
#include "numa/place.h"

/* A list that cannot be read was refused with the configuration. */
static void plan_list(const struct vm_config *vm, struct node_list *out)
{
	if (!vm->nodes || node_list_parse(vm->nodes, out))
		out->nr = 0;
}

void plan_wide(const struct vm_config *vm, struct node_list *out)
{
	plan_list(vm, out);
	if (out->nr == 1)
		out->nr = 0;
}

nodeid_t plan_node(const struct vm_config *vm)
{
	struct node_list l;

	plan_list(vm, &l);
	return l.nr ? l.ids[0] : vm->node;
}

int plan_place(const struct run_config *cfg, const struct topology *t,
	       nodeid_t *nodes, struct diag *d)
{
	struct place_request *reqs = calloc(cfg->nr_vms, sizeof(*reqs));
	int err;

	if (!reqs)
		return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	for (unsigned i = 0; i < cfg->nr_vms; i++) {
		const struct vm_config *vm = &cfg->vms[i];

		reqs[i] = (struct place_request){
			.name = vm->name,
			.bytes = vm->memory_bytes,
			.nr_vcpus = vm->nr_vcpus,
			.node = plan_node(vm),
			.strict = vm->strict && !vm->overcommit,
		};
		plan_wide(vm, &reqs[i].wide);
	}
	err = place_initial(t, reqs, cfg->nr_vms, nodes, d);
	free(reqs);
	return err;
}

/* A plan opens no disk, and so does not know what is on it. */
static const char *kernel_text(const struct vm_config *vm)
{
	return vm->kernel ? vm->kernel : "on disk";
}

static void print_disks(const struct vm_config *vm, FILE *out)
{
	if (vm->nr_disks == 0)
		(void)fputs("-", out);
	for (unsigned i = 0; i < vm->nr_disks; i++) {
		(void)fputs(i ? " " : "", out);
		disk_print(&vm->disks[i], out);
	}
	(void)fputc('\n', out);
}

#define NODE_TEXT_MAX (NODE_LIST_TEXT_MAX + 32)

/* "2", "2,strict", "0-3,show,views,copies"; then how it was asked for. */
static const char *node_text(const struct vm_config *vm, nodeid_t node,
			     char buf[NODE_TEXT_MAX])
{
	char list[NODE_LIST_TEXT_MAX];
	struct node_list wide;

	plan_wide(vm, &wide);
	node_list_add(&wide, node);
	(void)snprintf(
		buf, NODE_TEXT_MAX, "%s%s%s%s%s%s", node_list_text(&wide, list),
		plan_node(vm) == NODE_AUTO ? ",auto" : "",
		vm->strict ? ",strict" : "", vm->numa_show ? ",show" : "",
		vm->views ? ",views" : "", vm->copies_bytes ? ",copies" : "");
	return buf;
}

void plan_print(const struct run_config *cfg, const nodeid_t *nodes, FILE *out)
{
	int name_width = 2, node_width = 14, kernel_width = 6;
	char node[NODE_TEXT_MAX], memory[SIZE_TEXT_MAX];

	for (unsigned i = 0; i < cfg->nr_vms; i++) {
		name_width = column_widest(name_width, cfg->vms[i].name);
		node_width = column_widest(
			node_width, node_text(&cfg->vms[i], nodes[i], node));
		kernel_width =
			column_widest(kernel_width, kernel_text(&cfg->vms[i]));
	}
	(void)fprintf(out, "%-*s  %-*s  %4s  %10s  %-*s  %s\n", name_width,
		      "VM", node_width, "NODE", "CPUS", "MEMORY", kernel_width,
		      "KERNEL", "DISKS");
	for (unsigned i = 0; i < cfg->nr_vms; i++) {
		const struct vm_config *vm = &cfg->vms[i];

		(void)fprintf(out, "%-*s  %-*s  %4u  %10s  %-*s  ", name_width,
			      vm->name, node_width,
			      node_text(vm, nodes[i], node), vm->nr_vcpus,
			      size_text(vm->memory_bytes, memory), kernel_width,
			      kernel_text(vm));
		print_disks(vm, out);
	}
}

int plan_show(const struct run_config *cfg, FILE *out, struct diag *d)
{
	struct topology *t = calloc(1, sizeof(*t));
	nodeid_t *nodes = calloc(cfg->nr_vms, sizeof(*nodes));
	int err;

	if (!t || !nodes) {
		err = diag_fail(d, ST_HOST, ENOMEM, "out of memory");
		goto out_free;
	}
	err = topology_create(t, d);
	if (err)
		goto out_free;
	err = plan_place(cfg, t, nodes, d);
	if (!err)
		plan_print(cfg, nodes, out);
	topology_destroy(t);
out_free:
	free(nodes);
	free(t);
	return err;
}
