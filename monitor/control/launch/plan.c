/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/launch/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/control/base/size.h"
#include "monitor/control/config/vm_options.h"
#include "numa/place.h"

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
			.node = vm->node,
			.strict = vm->strict && !vm->overcommit,
		};
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

static int plan_widest(int width, const char *text)
{
	int len = (int)strlen(text);

	return len > width ? len : width;
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

/* "2", "2,strict"; then how it was asked for. */
static const char *node_text(const struct vm_config *vm, nodeid_t node,
			     char buf[32])
{
	(void)snprintf(buf, 32, "%d%s%s", node,
		       vm->node == NODE_AUTO ? ",auto" : "",
		       vm->strict ? ",strict" : "");
	return buf;
}

void plan_print(const struct run_config *cfg, const nodeid_t *nodes, FILE *out)
{
	int name_width = 2, kernel_width = 6;

	for (unsigned i = 0; i < cfg->nr_vms; i++) {
		name_width = plan_widest(name_width, cfg->vms[i].name);
		kernel_width =
			plan_widest(kernel_width, kernel_text(&cfg->vms[i]));
	}
	(void)fprintf(out, "%-*s  %-14s  %4s  %10s  %-*s  %s\n", name_width,
		      "VM", "NODE", "CPUS", "MEMORY", kernel_width, "KERNEL",
		      "DISKS");
	for (unsigned i = 0; i < cfg->nr_vms; i++) {
		const struct vm_config *vm = &cfg->vms[i];
		char node[32], memory[SIZE_TEXT_MAX];

		(void)fprintf(out, "%-*s  %-14s  %4u  %10s  %-*s  ", name_width,
			      vm->name, node_text(vm, nodes[i], node),
			      vm->nr_vcpus, size_text(vm->memory_bytes, memory),
			      kernel_width, kernel_text(vm));
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
