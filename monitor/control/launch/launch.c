/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/launch/launch.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "monitor/control/disks/disk_files.h"
#include "monitor/control/launch/descriptors.h"
#include "monitor/control/launch/disk_boot.h"
#include "monitor/control/workers/kvm_open.h"
#include "monitor/control/launch/plan.h"
#include "monitor/control/launch/pmem_fit.h"
#include "monitor/control/launch/seed_disk.h"
#include "monitor/control/workers/ram_file.h"
#include "numa/bind.h"
#include "numa/node_list.h"

#define DISTANCE_MAX 254u /* of the ACPI SLIT; 255: cannot be reached */

struct launch_vm {
	struct worker_spec spec;
	struct spawn_files files;
	struct disk_boot disk_boot; /* of a VM without a kernel */
	const struct boot_set_entry *boot;
	unsigned nr_open; /* of files.disks */
};

static int launch_count(struct launch *l, struct diag *d)
{
	return descriptors_for_vms(l->cfg, d);
}

static int launch_allocate(struct launch *l, struct diag *d)
{
	l->nodes = calloc(l->cfg->nr_vms, sizeof(*l->nodes));
	l->ready = calloc(l->cfg->nr_vms, sizeof(*l->ready));
	if (!l->nodes || !l->ready)
		return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	return 0;
}

void launch_release(struct launch *l)
{
	for (unsigned i = 0; l->ready && i < l->cfg->nr_vms; i++) {
		struct launch_vm *p = &l->ready[i];

		while (p->nr_open)
			(void)close(p->files.disks[--p->nr_open]);
	}
	boot_set_destroy(&l->boots);
	worker_code_destroy(&l->own_code);
	if (l->kvm >= 0)
		(void)close(l->kvm);
	l->kvm = -1;
}

void launch_destroy(struct launch *l)
{
	if (!l || !l->cfg)
		return;
	launch_release(l);
	for (unsigned i = 0; l->ready && i < l->cfg->nr_vms; i++)
		disk_boot_destroy(&l->ready[i].disk_boot);
	topology_destroy(&l->topology);
	free(l->nodes);
	free(l->ready);
	l->cfg = NULL;
}

/*
 * Where a container forbids binding, guests run on their nodes' CPUs, so that
 * most of their memory is there as well; what is promised to be there is not.
 */
static int launch_try_binding(struct launch *l, struct diag *d)
{
	int err = node_bind_probe(l->nodes[0]);

	l->bind = !node_bind_optional(err);
	if (l->bind)
		return 0; /* another error shows where it happens */
	for (unsigned i = 0; i < l->cfg->nr_vms; i++)
		if (l->cfg->vms[i].strict)
			return diag_fail(
				d, ST_MEMORY, -err,
				"vm '%s': this host refuses to bind memory to "
				"a node: %s; see 'disco doctor', or leave out "
				"'strict'",
				l->cfg->vms[i].name, strerror(-err));
	(void)fprintf(stderr,
		      "disco: memory is not bound to nodes: %s; see 'disco "
		      "doctor'\n",
		      strerror(-err));
	return 0;
}

static void launch_take_ledger(struct launch *l)
{
	for (unsigned i = 0; l->ledger && i < l->topology.nr_nodes; i++) {
		struct topology_node *n = &l->topology.nodes[i];
		const struct topology_node *from =
			topology_find(l->ledger, n->id);

		n->promised_bytes = from ? from->promised_bytes : 0;
	}
}

static int launch_place(struct launch *l, struct diag *d)
{
	int err = topology_create(&l->topology, d);

	if (err)
		return err;
	launch_take_ledger(l);
	err = plan_place(l->cfg, &l->topology, l->nodes, d);
	if (err)
		return err;
	if (!l->topology.this_machine) {
		(void)fprintf(stderr, "disco: the nodes are those of another "
				      "machine (HWLOC_SYNTHETIC or "
				      "HWLOC_XMLFILE): nothing is bound\n");
		return 0;
	}
	return launch_try_binding(l, d);
}

static void spec_cpus(const struct launch *l, nodeid_t node,
		      struct worker_spec *spec)
{
	const struct topology_node *n = topology_cpus_near(&l->topology, node);

	if (!n)
		return;
	spec->nr_cpus = (uint32_t)min_u64(n->nr_cpus, ARRAY_SIZE(spec->cpus));
	memcpy(spec->cpus, n->cpus, spec->nr_cpus * sizeof(spec->cpus[0]));
}

/* By number; where numbers have gaps, a node that there is not has none. */
static void spec_distances(const struct topology *t, struct worker_spec *spec)
{
	for (unsigned i = 0; i < t->nr_nodes; i++)
		if (t->nodes[i].id >= 0 && t->nodes[i].id < MAX_NODES)
			spec->nr_nodes = (uint32_t)max_u64(
				spec->nr_nodes, (uint64_t)t->nodes[i].id + 1);
	for (unsigned i = 0; i < t->nr_nodes; i++)
		for (unsigned j = 0; j < t->nr_nodes; j++) {
			nodeid_t from = t->nodes[i].id, to = t->nodes[j].id;

			if (from < 0 || from >= MAX_NODES || to < 0 ||
			    to >= MAX_NODES)
				continue;
			spec->distances[(unsigned)from * spec->nr_nodes +
					(unsigned)to] =
				(uint8_t)min_u64(t->distance[i][j], UINT8_MAX);
		}
}

/* The CPUs of a wide VM's node @k; a machine has more than fit, if any. */
static void wide_cpus(const struct topology_node *n, unsigned nr_nodes,
		      unsigned k, struct worker_wide *w)
{
	unsigned first = 0;

	for (unsigned i = 0; i < k; i++)
		first += w->node_cpus[i];
	w->node_cpus[k] =
		(uint16_t)min_u64(n->nr_cpus, WORKER_WIDE_CPUS / nr_nodes);
	memcpy(w->cpus + first, n->cpus, w->node_cpus[k] * sizeof(w->cpus[0]));
}

/* On a described machine the guest is told of its nodes, and runs anywhere. */
static void spec_wide(const struct launch *l, const struct vm_config *vm,
		      struct worker_wide *w)
{
	const struct topology *t = &l->topology;
	struct node_list nodes;

	plan_wide(vm, &nodes);
	w->nr_nodes = nodes.nr;
	w->show = vm->numa_show;
	w->views = vm->views;
	w->copies_bytes = vm->copies_bytes;
	for (unsigned i = 0; nodes.nr && i < vm->nr_vcpus; i++)
		w->vcpu_node[i] =
			(uint8_t)node_list_spread(&nodes, vm->nr_vcpus, i);
	for (unsigned i = 0; i < nodes.nr; i++) {
		const struct topology_node *n = topology_find(t, nodes.ids[i]);

		w->nodes[i] = t->this_machine && l->bind ? n->id : NODE_AUTO;
		if (t->this_machine)
			wide_cpus(n, nodes.nr, i, w);
		for (unsigned k = 0; k < nodes.nr; k++)
			w->distance[i][k] = (uint8_t)min_u64(
				topology_distance(t, n->id, nodes.ids[k]),
				DISTANCE_MAX);
	}
}

/* Strings were checked by the configuration: none is too long here. */
static void launch_copy_text(char *to, size_t size, const char *from)
{
	size_t n;

	assert(from);
	n = strnlen(from, size - 1);
	memcpy(to, from, n);
	to[n] = '\0';
}

/* Memory that is reserved is all there, in pages of whatever size. */
static void spec_huge(const struct vm_config *vm, struct worker_spec *spec)
{
	bool reserved = vm->strict && !vm->overcommit;

	spec->huge = vm->huge;
	if (vm->huge == HUGE_AUTO && !reserved &&
	    vm->memory_bytes < HUGE_AUTO_LEAST)
		spec->huge = HUGE_OFF;
	spec->huge_given = spec->huge != HUGE_OFF && ram_file_gives_huge();
}

static void launch_make_spec(const struct launch *l, const struct vm_config *vm,
			     nodeid_t node, struct worker_spec *spec)
{
	spec->magic = WORKER_SPEC_MAGIC;
	spec->protocol = WORKER_PROTOCOL;
	spec->size = sizeof(*spec);
	launch_copy_text(spec->name, sizeof(spec->name), vm->name);
	launch_copy_text(spec->cmdline, sizeof(spec->cmdline),
			 vm->cmdline ? vm->cmdline : "console=ttyS0");
	spec->nr_vcpus = vm->nr_vcpus;
	spec->ram_bytes = vm->memory_bytes;
	spec_huge(vm, spec);
	spec->keep_panicked = vm->keep_panicked;
	spec->no_hints = vm->no_hints;
	spec->node = NODE_AUTO;
	spec_wide(l, vm, &spec->wide);
	if (!l->topology.this_machine)
		return;
	spec_distances(&l->topology, spec);
	spec->node = l->bind ? node : NODE_AUTO;
	spec->strict = vm->strict;
	spec->reserved = vm->strict && !vm->overcommit;
	spec_cpus(l, node, spec);
}

static int open_disks(const struct vm_config *vm, struct launch_vm *p,
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

/* Behind the disks that have names. */
static int make_seed(const struct vm_config *vm, struct launch_vm *p,
		     struct diag *d)
{
	int err;

	if (!vm->cloud_init)
		return 0;
	err = seed_disk_make(vm, &p->spec.disks[p->spec.nr_disks],
			     &p->files.disks[p->nr_open], d);
	if (err)
		return err;
	p->spec.nr_disks++;
	p->nr_open++;
	p->files.nr_disk_fds = p->nr_open;
	return 0;
}

static int prepare_boots(struct launch *l, struct diag *d)
{
	return boot_set_create(&l->boots, l->cfg->nr_vms, l->running, d);
}

/* @vm: replaced by one with a kernel, unless it has one. */
static int launch_find_kernel(const struct launch *l, struct launch_vm *p,
			      const struct vm_config **vm, struct diag *d)
{
	int err;

	if ((*vm)->kernel)
		return 0;
	p->disk_boot = DISK_BOOT_NONE;
	err = disk_boot_find(*vm, &p->spec.disks[0], p->files.disks,
			     l->boots.cache_dir, &p->disk_boot, d);
	if (!err)
		*vm = &p->disk_boot.vm;
	return err;
}

/* The command line may be the disk's. */
static int launch_check_views(const struct vm_config *vm, struct diag *d)
{
	size_t bytes = vm->cmdline ? strlen(vm->cmdline) : 0;

	if (vm->copies_bytes && vm->memory_bytes > VM_MAX_COPIED)
		return diag_fail(d, ST_CONFIG, E2BIG,
				 "%s: with 'copies' a VM has at most %llu GiB "
				 "of memory",
				 vm->name,
				 (unsigned long long)(VM_MAX_COPIED >> 30));
	if (!vm->views || bytes <= CMDLINE_MAX - CMDLINE_CLOCK_MAX)
		return 0;
	return diag_fail(d, ST_CONFIG, E2BIG,
			 "%s: its kernel command line has %zu bytes, and with "
			 "views=on at most %u, as the rate of its clock is put "
			 "before it: shorten it, or leave out 'views'",
			 vm->name, bytes, CMDLINE_MAX - CMDLINE_CLOCK_MAX);
}

static int prepare_vm(struct launch *l, unsigned i, struct diag *d)
{
	const struct vm_config *vm = &l->cfg->vms[i];
	struct launch_vm *p = &l->ready[i];
	int err;

	err = open_disks(vm, p, d);
	if (!err)
		err = make_seed(vm, p, d);
	if (!err)
		err = launch_find_kernel(l, p, &vm, d);
	if (!err)
		err = launch_check_views(vm, d);
	if (err)
		return err;
	launch_make_spec(l, vm, l->nodes[i], &p->spec);
	err = pmem_fit(vm, &p->spec, pmem_phys_bits(), d);
	if (err)
		return err;
	err = boot_set_get(&l->boots, vm, p->spec.node, &p->boot, d);
	if (err)
		return err;
	p->spec.boot = p->boot->image.layout;
	p->files.boot = p->boot->image.fd;
	return 0;
}

static int prepare_vms(struct launch *l, struct diag *d)
{
	for (unsigned i = 0; i < l->cfg->nr_vms; i++) {
		int err = prepare_vm(l, i, d);

		if (err)
			return err;
	}
	return 0;
}

static int prepare_host(struct launch *l, struct diag *d)
{
	int err = kvm_open(&l->kvm, d);

	if (err)
		return err;
	if (!l->code) {
		l->code = &l->own_code;
		err = worker_code_create(&l->own_code, WORKER_PROGRAM, d);
		if (err)
			return err;
	}
	for (unsigned i = 0; i < l->cfg->nr_vms; i++) {
		struct launch_vm *p = &l->ready[i];

		p->files.kvm = l->kvm;
		err = worker_code_get(l->code, p->spec.node, &p->files.code, d);
		if (err)
			return err;
	}
	return 0;
}

/*
 * What the operator gave comes first: it is wrong on any host. But too few
 * descriptors would be found by any step, and be its failure.
 */
int launch_prepare(struct launch *l, const struct run_config *cfg,
		   struct worker_code *code, const struct boot_copies *running,
		   const struct topology *ledger, struct diag *d)
{
	static int (*const steps[])(struct launch * l, struct diag * d) = {
		launch_count,  launch_allocate, launch_place,
		prepare_boots, prepare_vms,	prepare_host
	};

	*l = (struct launch){ .cfg = cfg,
			      .code = code,
			      .running = running,
			      .ledger = ledger,
			      .kvm = -1,
			      .own_code.file = -1 };
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		int err = steps[i](l, d);

		if (err)
			return err;
	}
	return 0;
}

void launch_sampled(struct launch *l, uint32_t how)
{
	for (unsigned i = 0; i < l->cfg->nr_vms; i++)
		l->ready[i].spec.sampled =
			l->cfg->vms[i].copies_bytes ? WORKER_SAMPLE_NONE : how;
}

unsigned launch_cached(const struct launch *l, unsigned i,
		       struct vm_cached *out)
{
	const struct vm_config *vm = &l->cfg->vms[i];
	const struct worker_spec *spec = &l->ready[i].spec;
	int fd = WORKER_FD_DISK0;
	unsigned n = 0;

	/* A seed is memory already, and comes last. */
	for (unsigned k = 0; k < vm->nr_disks; k++) {
		bool raw = spec->disks[k].kind == WORKER_DISK_RAW;

		if (!vm->disks[k].no_cache &&
		    (!raw || spec->disks[k].read_only || spec->disks[k].pmem))
			out[n++] = (struct vm_cached){ .disk = k, .fd = fd };
		fd += (int)worker_disk_fds(&spec->disks[k]);
	}
	return n;
}

int launch_net_fd(const struct launch *l, unsigned i)
{
	return worker_net_fd(&l->ready[i].spec, 0);
}

int launch_shm_fd(const struct launch *l, unsigned i)
{
	const struct launch_vm *p = &l->ready[i];

	return worker_net_fd(&p->spec, l->cfg->vms[i].nr_nets);
}

const struct boot_set_entry *launch_boot(const struct launch *l, unsigned i)
{
	return l->ready[i].boot;
}

const char *launch_kernel(const struct launch *l, unsigned i)
{
	const char *kernel = l->cfg->vms[i].kernel;

	return kernel ? kernel : l->ready[i].disk_boot.from;
}

void launch_vcpu_nodes(const struct launch *l, unsigned i,
		       nodeid_t out[VM_MAX_VCPUS])
{
	const struct vm_config *vm = &l->cfg->vms[i];
	struct node_list wide;

	plan_wide(vm, &wide);
	for (unsigned k = 0; k < vm->nr_vcpus; k++)
		out[k] = wide.nr ? wide.ids[node_list_spread(&wide,
							     vm->nr_vcpus, k)]
				 : l->nodes[i];
}

static void launch_add_net(struct launch_vm *p, const struct net_port *port,
			   const struct net_config *cfg)
{
	struct worker_net *spec = &p->spec.nets[p->spec.nr_nets++];
	int *fds = &p->files.nets[p->files.nr_net_fds];

	net_port_spec(port, spec);
	spec->queues = (uint8_t)cfg->queues;
	fds[WORKER_NET_REGION] = port->region;
	fds[WORKER_NET_WAKE] = port->wake_rx;
	fds[WORKER_NET_WAKER] = port->wake_tx;
	p->files.nr_net_fds += WORKER_NET_FDS;
}

static void launch_add_shm(struct launch_vm *p, const struct segment_use *use)
{
	segment_use_spec(use, &p->spec.shms[p->spec.nr_shms++]);
	p->files.shms[p->files.nr_shm_fds++] = use->fd;
}

int launch_spawn(struct launch *l, unsigned i, int listener,
		 struct net_port *const *ports, struct segment_use *const *uses,
		 struct worker *out, struct diag *d)
{
	struct launch_vm *p = &l->ready[i];

	p->spec.nr_nets = p->files.nr_net_fds = 0;
	for (unsigned k = 0; k < l->cfg->vms[i].nr_nets; k++)
		launch_add_net(p, ports[k], &l->cfg->vms[i].nets[k]);
	p->spec.nr_shms = p->files.nr_shm_fds = 0;
	for (unsigned k = 0; k < l->cfg->vms[i].nr_shms; k++)
		launch_add_shm(p, uses[k]);

	p->files.listener = listener;
	p->spec.adoptable = listener >= 0;
	return worker_spawn(&p->spec, &p->files, out, d);
}
