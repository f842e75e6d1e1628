/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "monitor/control/boot_set.h"
#include "monitor/control/disk_files.h"
#include "monitor/control/kvm_open.h"
#include "monitor/control/plan.h"
#include "monitor/control/report.h"
#include "monitor/control/supervise.h"
#include "monitor/control/worker_code.h"

/* One VM's part of what is prepared before any worker starts. */
struct prepared {
	struct worker_spec spec;
	struct spawn_files files;
	unsigned nr_open; /* of files.disks */
};

struct run {
	const struct run_config *cfg;
	struct topology topology;
	nodeid_t *nodes;	/* cfg->nr_vms, as placed */
	struct prepared *ready; /* cfg->nr_vms */
	struct vm *vms;		/* cfg->nr_vms */
	struct boot_set boots;
	struct worker_code code;
	int kvm;
};

/* A descriptor below 3 that we opened ourselves would end up in a guest. */
static int hold_standard_fds(struct diag *d)
{
	for (int fd = 0; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		if (open("/dev/null", O_RDWR) != fd)
			return diag_fail(d, ST_HOST, EBADF,
					 "descriptor %d is closed and "
					 "/dev/null cannot take its place",
					 fd);
	}
	return 0;
}

/* Up to four descriptors a VM, two a disk; 1024 is not enough for all. */
static void allow_descriptors(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) == 0 &&
	    lim.rlim_cur < lim.rlim_max) {
		lim.rlim_cur = lim.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &lim);
	}
}

static int run_create(struct run *r, const struct run_config *cfg,
		      struct diag *d)
{
	memset(r, 0, sizeof(*r));
	r->cfg = cfg;
	r->kvm = -1;
	r->code.file = -1;
	r->nodes = calloc(cfg->nr_vms, sizeof(*r->nodes));
	r->ready = calloc(cfg->nr_vms, sizeof(*r->ready));
	r->vms = calloc(cfg->nr_vms, sizeof(*r->vms));
	if (!r->nodes || !r->ready || !r->vms)
		return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	for (unsigned i = 0; i < cfg->nr_vms; i++)
		r->vms[i].worker = WORKER_NONE;
	return 0;
}

/* What the workers have copies of: they keep theirs. */
static void close_prepared(struct run *r)
{
	for (unsigned i = 0; r->ready && i < r->cfg->nr_vms; i++) {
		struct prepared *p = &r->ready[i];

		while (p->nr_open)
			(void)close(p->files.disks[--p->nr_open]);
	}
	boot_set_destroy(&r->boots);
	worker_code_destroy(&r->code);
	if (r->kvm >= 0)
		(void)close(r->kvm);
	r->kvm = -1;
}

static void run_destroy(struct run *r)
{
	for (unsigned i = 0; r->vms && i < r->cfg->nr_vms; i++)
		worker_destroy(&r->vms[i].worker);
	close_prepared(r);
	topology_destroy(&r->topology);
	free(r->nodes);
	free(r->ready);
	free(r->vms);
}

static int place(struct run *r, struct diag *d)
{
	int err = topology_create(&r->topology, d);

	if (!err)
		err = plan_place(r->cfg, &r->topology, r->nodes, d);
	if (!err && !r->topology.this_machine)
		(void)fprintf(stderr, "disco: the nodes are those of another "
				      "machine (HWLOC_SYNTHETIC or "
				      "HWLOC_XMLFILE): nothing is bound\n");
	return err;
}

static void spec_cpus(const struct run *r, nodeid_t node,
		      struct worker_spec *spec)
{
	const struct topology_node *n = topology_cpus_near(&r->topology, node);

	if (!n)
		return;
	spec->nr_cpus = (uint32_t)min_u64(n->nr_cpus, ARRAY_SIZE(spec->cpus));
	memcpy(spec->cpus, n->cpus, spec->nr_cpus * sizeof(spec->cpus[0]));
}

/* Strings were checked by the configuration: none is too long here. */
static void copy_text(char *to, size_t size, const char *from)
{
	size_t n = strnlen(from, size - 1);

	memcpy(to, from, n);
	to[n] = '\0';
}

static void make_spec(const struct run *r, const struct vm_config *vm,
		      nodeid_t node, struct worker_spec *spec)
{
	spec->magic = WORKER_SPEC_MAGIC;
	spec->size = sizeof(*spec);
	copy_text(spec->name, sizeof(spec->name), vm->name);
	copy_text(spec->cmdline, sizeof(spec->cmdline),
		  vm->cmdline ? vm->cmdline : "console=ttyS0");
	spec->nr_vcpus = vm->nr_vcpus;
	spec->ram_bytes = vm->memory_bytes;
	spec->huge_thp = vm->huge_thp;
	spec->node = NODE_AUTO;
	if (!r->topology.this_machine)
		return;
	spec->node = node;
	spec->strict = vm->strict;
	spec_cpus(r, node, spec);
}

static int open_disks(const struct vm_config *vm, struct prepared *p,
		      struct diag *d)
{
	for (unsigned i = 0; i < vm->nr_disks; i++) {
		int n = disk_file_open(&vm->disks[i], vm->name, i,
				       &p->spec.disks[i],
				       &p->files.disks[p->nr_open], d);

		if (n < 0)
			return n;
		p->nr_open += (unsigned)n;
		p->files.nr_disk_fds = p->nr_open;
	}
	p->spec.nr_disks = vm->nr_disks;
	return 0;
}

static int prepare_vm(struct run *r, unsigned i, struct diag *d)
{
	const struct vm_config *vm = &r->cfg->vms[i];
	const struct boot_image *boot = NULL;
	struct prepared *p = &r->ready[i];
	int err;

	make_spec(r, vm, r->nodes[i], &p->spec);
	err = open_disks(vm, p, d);
	if (!err)
		err = boot_set_get(&r->boots, vm, p->spec.node, &boot, d);
	if (err)
		return err;
	p->spec.boot = boot->layout;
	p->files.boot = boot->fd;
	return 0;
}

static int prepare_host(struct run *r, struct diag *d)
{
	int err = kvm_open(&r->kvm, d);

	if (!err)
		err = worker_code_create(&r->code, d);
	for (unsigned i = 0; i < r->cfg->nr_vms && !err; i++) {
		struct prepared *p = &r->ready[i];

		p->files.kvm = r->kvm;
		err = worker_code_get(&r->code, p->spec.node, &p->files.code,
				      d);
	}
	return err;
}

/* What the operator gave comes first: it is wrong on any host. */
static int prepare(struct run *r, struct diag *d)
{
	int err = place(r, d);

	if (!err)
		err = boot_set_create(&r->boots, r->cfg->nr_vms, d);
	for (unsigned i = 0; i < r->cfg->nr_vms && !err; i++)
		err = prepare_vm(r, i, d);
	return err ? err : prepare_host(r, d);
}

static int start(struct run *r, struct diag *d)
{
	for (unsigned i = 0; i < r->cfg->nr_vms; i++) {
		struct vm *vm = &r->vms[i];
		int err = worker_spawn(&r->ready[i].spec, &r->ready[i].files,
				       &vm->worker, d);

		if (err < 0)
			return err;
		vm->name = r->cfg->vms[i].name;
		vm->node = r->nodes[i];
	}
	/* Locks, kernels and code now live as long as the workers. */
	close_prepared(r);
	return 0;
}

static enum exit_status first_failure(const struct run *r)
{
	for (unsigned i = 0; i < r->cfg->nr_vms; i++) {
		if (r->vms[i].figures.status != ST_OK)
			return r->vms[i].figures.status;
	}
	return ST_OK;
}

static void report(const struct run *r)
{
	struct diag d = { .status = ST_OK };
	unsigned nr = r->cfg->nr_vms;

	if (r->cfg->summary)
		report_summary(r->vms, nr, stdout);
	if (r->cfg->report && report_write(r->vms, nr, r->cfg->report, &d) < 0)
		(void)fprintf(stderr, "disco: %s\n", d.text);
}

int run_vms(const struct run_config *cfg, struct diag *d)
{
	const struct supervise_options opts = { .mark = cfg->mark,
						.end_line = cfg->summary };
	struct run *r;
	int err = hold_standard_fds(d);

	if (err < 0)
		return err;
	r = calloc(1, sizeof(*r));
	if (!r)
		return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	allow_descriptors();
	err = run_create(r, cfg, d);
	if (!err)
		err = prepare(r, d);
	if (!err)
		err = start(r, d);
	if (!err)
		err = supervise(r->vms, cfg->nr_vms, &opts, d);
	if (!err) {
		report(r);
		err = (int)first_failure(r);
	}
	run_destroy(r);
	free(r);
	return err;
}
