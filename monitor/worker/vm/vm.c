/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/worker/vm/vm.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cowdisk/dax/pager.h"
#include "disco/huge.h"
#include "memory/ram_bind.h"
#include "memory/replica/ram_copies.h"
#include "monitor/dev/platform/layout.h"
#include "monitor/worker/views/view_ram.h"
#include "monitor/worker/vm/vcpu.h"
#include "monitor/worker/vm/vnodes.h"
#include "numa/bind.h"

static struct vm *from_host(struct dev_host *h)
{
	return container_of(h, struct vm, host);
}

/* --- stop --- */

void vm_stop(struct vm *vm, enum worker_stop why, const char *fmt, ...)
{
	uint32_t unclaimed = 0;
	va_list ap;

	if (!atomic_compare_exchange_strong(&vm->stop_claim, &unclaimed, 1))
		return;
	va_start(ap, fmt);
	(void)vsnprintf(vm->stop_text, sizeof(vm->stop_text), fmt, ap);
	va_end(ap);
	/* Release: stop_text before stop_why; acquire in vm_stopping(). */
	atomic_store_explicit(&vm->stop_why, why, memory_order_release);
	/* Cannot fail: the counter is 0 before. */
	(void)eventfd_write(vm->stop_watch.fd, 1);
}

bool vm_stopping(struct vm *vm)
{
	return atomic_load_explicit(&vm->stop_why, memory_order_acquire) != 0;
}

static void stop_ready(struct io_watch *w, uint32_t events)
{
	(void)events;
	container_of(w, struct vm, stop_watch)->loop.stop = true;
}

/* --- what devices ask for --- */

static int host_msi_route(struct dev_host *h, int fd, uint32_t *gsi,
			  uint64_t addr, uint32_t data)
{
	return kvms_msi_route(&from_host(h)->kvms, fd, gsi, addr, data);
}

static int host_ioeventfd(struct dev_host *h, int fd, uint64_t at, unsigned len,
			  bool on)
{
	return kvms_ioeventfd(&from_host(h)->kvms, fd, at, len, on);
}

static void host_irq_line(struct dev_host *h, uint32_t gsi, bool high)
{
	kvms_irq_line(&from_host(h)->kvms, gsi, high);
}

static int host_watch(struct dev_host *h, struct io_watch *w,
		      uint32_t epoll_events)
{
	return io_loop_watch(&from_host(h)->loop, w, epoll_events);
}

static void host_free_pages(struct dev_host *h, gfn_t first, uint64_t nr)
{
	struct vm *vm = from_host(h);

	/*
	 * Not RAM, or could not be done: the guest loses nothing by it. What
	 * is reserved stays the guest's: its node may be full when it comes
	 * back to it.
	 */
	if (!vm->spec->reserved && pmap_free(vm->pmap, first, nr) == 0)
		figures_count(&vm->figures->io.freed_pages, nr);
}

/* Behind the slots of RAM and of regions. KVM changes a slot by its end alone. */
static int host_show_memory(struct dev_host *h, unsigned which, uint64_t at,
			    void *hva, uint64_t bytes, bool read_only)
{
	struct kvm_userspace_memory_region r = {
		.slot = RAM_MAX_SLOTS + RAM_MAX_WINDOWS + which,
	};
	const struct kvms *kvms = &from_host(h)->kvms;

	/* One that is not there is no error. */
	(void)!kvms_set_slot(kvms, &r);
	if (!bytes)
		return 0;
	r.flags = read_only ? KVM_MEM_READONLY : 0;
	r.guest_phys_addr = at;
	r.memory_size = bytes;
	r.userspace_addr = (uintptr_t)hva;
	return kvms_set_slot(kvms, &r);
}

/* Standard error: control shows it, with the VM's name. */
static void host_report(struct dev_host *h, const char *text)
{
	(void)h;
	(void)fprintf(stderr, "%s\n", text);
}

static void host_stop(struct dev_host *h, enum worker_stop why,
		      const char *text)
{
	struct vm *vm = from_host(h);

	if (why == STOP_PANIC && vm->spec->keep_panicked) {
		standstill_told(&vm->standstill);
		return;
	}
	vm_stop(vm, why, "%s", text);
}

static const struct dev_host_ops host_ops = {
	.msi_route = host_msi_route,
	.ioeventfd = host_ioeventfd,
	.irq_line = host_irq_line,
	.watch = host_watch,
	.free_pages = host_free_pages,
	.show_memory = host_show_memory,
	.report = host_report,
	.stop = host_stop,
};

/* --- making one --- */

/* @there: false takes the slots away. */
static int set_slots(struct vm *vm, bool there)
{
	return view_ram_set_slots(&vm->kvms, &vm->ram, vm->copies, there);
}

static int add_memory(struct vm *vm)
{
	return set_slots(vm, true);
}

int vm_remake_slots(struct vm *vm)
{
	int err = set_slots(vm, false);

	if (err)
		goto stop;
	err = regions_set(&vm->regions, false);
	if (err)
		goto stop;
	err = regions_set(&vm->regions, true);
	if (err)
		goto stop;
	err = set_slots(vm, true);
	if (err)
		goto stop;
	return 0;
stop:
	vm_stop(vm, STOP_FAILED, "memory slots, in a move: %s", strerror(-err));
	return err;
}

/* Nothing is to be shown in place of RAM. */
static int fill_boot_pages(struct vm *vm)
{
	const struct boot_layout *b = &vm->spec->boot;

	for (uint32_t i = 0; i < b->nr_extents; i++) {
		const struct boot_extent *e = &b->extents[i];
		int err = ram_fill(&vm->ram, gpa(e->gpa), e->bytes,
				   WORKER_FD_BOOT, e->gpa);

		if (err)
			return err;
	}
	return 0;
}

static int vm_bind_memory(struct vm *vm)
{
	const struct worker_spec *s = vm->spec;
	int err;

	if (s->node == NODE_AUTO)
		return 0;
	if (s->wide.nr_nodes)
		err = vnodes_bind(s, &vm->ram);
	else
		err = ram_bind(&vm->ram, s->node, s->strict);
	return !s->strict && node_bind_optional(err) ? 0 : err;
}

/* No huge pages is no error: all are small then. */
static int vm_make_huge(struct vm *vm)
{
	const struct worker_spec *s = vm->spec;
	bool all = s->huge == HUGE_THP || s->reserved;
	int err;

	if (s->huge == HUGE_OFF || !s->huge_given)
		return 0;
	err = ram_huge_create(&vm->ram, all ? 0 : HUGE_AUTO_FIRST, &vm->huge);
	if (err)
		return err == -EOPNOTSUPP ? 0 : err;
	pmap_set_huge(vm->pmap, vm->huge);
	return 0;
}

static void vm_copies_failed(void *arg, int err)
{
	vm_stop(arg, STOP_FAILED, "copies of memory for views: %s",
		strerror(-err));
}

/* RAM on its node; the boot image shown over it, or copied into it. */
static int make_memory(struct vm *vm)
{
	const struct worker_spec *s = vm->spec;
	int err = ram_view_create(&vm->ram, WORKER_FD_RAM, s->ram_bytes);
	bool plain;

	if (!err)
		err = vm_bind_memory(vm);
	if (err)
		return err;
	if (s->wide.copies_bytes)
		err = view_ram_create(s, &vm->ram, vm_copies_failed, vm,
				      &vm->copies);
	if (err)
		return err;
	/*
	 * Pages in place of reserved ones would cost memory once more; views
	 * that have mappings of their own would not show them.
	 */
	plain = s->reserved || vm->copies;
	err = pmap_create(&vm->ram, plain ? 0 : pmap_budget(), &vm->pmap);
	if (!err && !vm->copies)
		err = vm_make_huge(vm);
	if (err)
		return err;
	if (s->huge != HUGE_THP && !plain)
		return boot_pages_show(vm->pmap, &vm->ram, &s->boot,
				       WORKER_FD_BOOT);
	return fill_boot_pages(vm);
}

static int make_irqchip(struct vm *vm)
{
	return kvms_make_irqchip(&vm->kvms, &vm->mmio);
}

/*
 * KVM takes a vCPU's memory from the node that makes it. Where the thread must
 * not change its CPUs, that is the home.
 */
static int vm_make_vcpu(struct vm *vm, unsigned i)
{
	const struct worker_spec *s = vm->spec;
	const uint16_t *cpus = NULL;
	unsigned nr = vnode_cpus(s, i, &cpus);
	int err;

	(void)!node_run_on(cpus, nr);
	err = vcpu_create(&vm->vcpus[i], vm, i);
	if (nr)
		(void)!node_run_on(s->cpus, s->nr_cpus);
	return err;
}

static int make_vcpus(struct vm *vm)
{
	int bytes = ioctl(vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);

	if (bytes < (int)sizeof(struct kvm_run))
		return bytes < 0 ? -errno : -EPROTO;
	vm->run_bytes = (size_t)bytes;
	vm->vcpus = calloc(vm->spec->nr_vcpus, sizeof(*vm->vcpus));
	if (!vm->vcpus)
		return -ENOMEM;
	for (unsigned i = 0; i < vm->spec->nr_vcpus; i++) {
		int err = vm_make_vcpu(vm, i);

		if (err)
			return err;
		vm->nr_vcpus = i + 1;
	}
	return 0;
}

/* Before everything that counts. */
static int vm_make_figures(struct vm *vm)
{
	int err = region_take(&vm->shown, WORKER_FD_FIGURES, FIGURES_BYTES);

	if (err)
		return err;
	vm->figures = vm->shown.base;
	atomic_store_explicit(&vm->figures->magic, FIGURES_MAGIC,
			      memory_order_relaxed);
	return 0;
}

static int make_stop(struct vm *vm)
{
	int err = io_loop_init(&vm->loop);

	if (err)
		return err;
	vm->loop.figures = &vm->figures->io;
	vm->stop_watch.ready = stop_ready;
	vm->stop_watch.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vm->stop_watch.fd < 0)
		return -errno;
	return io_loop_watch(&vm->loop, &vm->stop_watch, EPOLLIN);
}

/* --- views --- */

/* The thread goes to the node of view @view, for what it makes next. */
static void vm_enter_view(void *arg, unsigned view)
{
	const struct vm *vm = arg;
	const uint16_t *cpus = NULL;
	unsigned nr = vnode_cpus_of(vm->spec, view, &cpus);

	(void)!node_run_on(cpus, nr);
}

static void vm_leave_views(const struct vm *vm)
{
	(void)!node_run_on(vm->spec->cpus, vm->spec->nr_cpus);
}

static int vm_prepare_ghost(void *arg, int fd, unsigned index)
{
	return vcpu_set_cpuid(arg, fd, index);
}

static void vm_ghost_failed(void *arg, unsigned index, int err)
{
	vm_stop(arg, STOP_FAILED,
		"views: interrupts of vCPU %u from other nodes would be lost: "
		"%s",
		index, strerror(-err));
}

static int make_views(struct vm *vm)
{
	uint8_t apic_ids[VM_MAX_VCPUS];
	const struct worker_spec *s = vm->spec;
	const struct views_spec spec = { .kvm_fd = vm->kvm_fd,
					 .nr_views = s->wide.nr_nodes,
					 .nr_vcpus = s->nr_vcpus,
					 .home = s->wide.vcpu_node,
					 .apic_ids = apic_ids,
					 .prepare = vm_prepare_ghost,
					 .enter = vm_enter_view,
					 .failed = vm_ghost_failed,
					 .arg = vm };

	for (unsigned i = 0; i < s->nr_vcpus; i++)
		apic_ids[i] = (uint8_t)vnode_place(s, i).apic_id;
	return kvms_create(&vm->kvms, vm->kvm_fd, &spec);
}

/* vCPUs are there; none runs. */
static int make_ghosts(struct vm *vm)
{
	int fds[VM_MAX_VCPUS], err;

	if (!vm->kvms.views)
		return 0;
	for (unsigned i = 0; i < vm->nr_vcpus; i++)
		fds[i] = vm->vcpus[i].fd;
	err = views_make_ghosts(vm->kvms.views);
	vm_leave_views(vm);
	if (err)
		return err;
	err = views_align_tsc(vm->kvms.views, fds);
	return err == -ENXIO ? -ENOTSUP : err;
}

static int start_ghosts(struct vm *vm)
{
	int err;

	if (!vm->kvms.views)
		return 0;
	err = views_start(vm->kvms.views);
	vm_leave_views(vm);
	if (err == -ENOTSUP)
		vm_stop(vm, STOP_FAILED,
			"views: this host's KVM does not let interrupts be "
			"passed between the views of a guest (APICv or AVIC?): "
			"leave out views=on");
	else if (err)
		vm_stop(vm, STOP_FAILED, "views: %s", strerror(-err));
	return err;
}

/* --- all of it --- */

static int make_kvm(struct vm *vm)
{
	int err = vm->spec->wide.views
			  ? make_views(vm)
			  : kvms_create(&vm->kvms, vm->kvm_fd, NULL);

	if (err)
		return err;
	vm->tsc_deadline = ioctl(vm->kvm_fd, KVM_CHECK_EXTENSION,
				 KVM_CAP_TSC_DEADLINE_TIMER) > 0;
	err = cpuid_supported(vm->kvm_fd, &vm->cpuid);
	if (err)
		return err;
	if (vm->kvms.views)
		views_hide_features(vm->cpuid.entries, vm->cpuid.head.nent);
	regions_init(&vm->regions, &vm->kvms, &vm->ram,
		     cpuid_phys_bits(&vm->cpuid));
	return 0;
}

int vm_create(struct vm *vm, int kvm_fd, const struct worker_spec *spec,
	      const char **what)
{
	static const struct {
		int (*make)(struct vm *vm);
		const char *what;
	} steps[] = {
		{ vm_make_figures, "region of figures" },
		{ make_stop, "event loop" },
		{ make_kvm, "KVM_CREATE_VM" },
		{ make_memory, "guest memory" },
		{ add_memory, "KVM_SET_USER_MEMORY_REGION" },
		{ make_irqchip, "KVM_CREATE_IRQCHIP" },
		{ make_vcpus, "KVM_CREATE_VCPU" },
		{ make_ghosts, "ghosts of views" },
	};
	static const char lacks[] =
		"views=on: this host's KVM lacks KVM_CAP_SPLIT_IRQCHIP, "
		"KVM_CAP_SYNC_REGS or KVM_VCPU_TSC_CTRL (Linux 5.16)";
	static const char lacks_copies[] =
		"copies=SIZE: this host does not let the worker protect shared "
		"memory by userfaultfd (Linux 5.19)";

	vm->spec = spec;
	vm->node = spec->node;
	vm->kvm_fd = kvm_fd;
	vm->loop.epoll_fd = vm->stop_watch.fd = -1;
	vm->host.ops = &host_ops;
	vm->host.ram = &vm->ram;
	kvms_init(&vm->kvms);
	park_init(&vm->park);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		int err = steps[i].make(vm);

		if (err) {
			*what = steps[i].what;
			if (err == -ENOTSUP && spec->wide.views)
				*what = steps[i].make == make_memory
						? lacks_copies
						: lacks;
			return err;
		}
	}
	return pci_bus_init(&vm->pci);
}

int vm_start(struct vm *vm)
{
	int err = vm->copies ? ram_copies_start(vm->copies) : 0;

	/* They listen before a vCPU sends. */
	if (!err)
		err = start_ghosts(vm);
	for (unsigned i = 0; !err && i < vm->nr_vcpus; i++)
		err = vcpu_start(&vm->vcpus[i]);
	return err;
}

/* --- running and stopping vCPUs --- */

void vm_hurry(struct vm *vm, bool on)
{
	if (vm->pager)
		pager_hurry(vm->pager, on);
}

static void vm_kick(void *arg)
{
	struct vm *vm = arg;

	for (unsigned i = 0; i < vm->nr_vcpus; i++)
		vcpu_kick(&vm->vcpus[i]);
}

/*
 * Copies have failed, and a vCPU waits for one to end. It would be freed when the
 * I/O thread is asked to end the guest; but that waits for this vCPU.
 */
static void vm_stuck(void *arg)
{
	struct vm *vm = arg;

	if (vm->copies && vm_stopping(vm))
		ram_copies_cut(vm->copies);
}

void vm_park(struct vm *vm, uint32_t reason)
{
	vm_hurry(vm, true);
	park_begin(&vm->park, reason, vm->nr_vcpus, vm_kick, vm_stuck, vm);
	vm_hurry(vm, false);
}

void vm_unpark(struct vm *vm, uint32_t reason)
{
	park_end(&vm->park, reason);
}

uint32_t vm_parked(struct vm *vm)
{
	return park_reasons(&vm->park);
}

void vm_join(struct vm *vm)
{
	/* From now on the pager serves all faults: nobody else is there to. */
	vm_hurry(vm, true);
	/* vCPUs look at vm_stopping() before each KVM_RUN. */
	vm_unpark(vm, UINT32_MAX);
	vm_kick(vm);
	for (unsigned i = 0; i < vm->nr_vcpus; i++)
		vcpu_join(&vm->vcpus[i]);
	/* Nobody is left who waits for what they send on. */
	if (vm->kvms.views)
		views_stop(vm->kvms.views);
}

void vm_destroy(struct vm *vm)
{
	for (unsigned i = 0; i < vm->nr_vcpus; i++)
		vcpu_destroy(&vm->vcpus[i]);
	free(vm->vcpus);
	pmap_destroy(vm->pmap);
	ram_huge_destroy(vm->huge);
	ram_view_destroy(&vm->ram);
	kvms_destroy(&vm->kvms);
	if (vm->stop_watch.fd >= 0)
		(void)close(vm->stop_watch.fd);
	io_loop_destroy(&vm->loop);
	region_destroy(&vm->shown);
	park_destroy(&vm->park);
}

uint64_t vm_exits(const struct vm *vm)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < vm->nr_vcpus; i++)
		for (unsigned k = 0; k < FIGURES_NR_EXITS; k++)
			n += atomic_load_explicit(
				&vm->vcpus[i].figures->exits[k],
				memory_order_relaxed);
	return n;
}
