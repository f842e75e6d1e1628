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
#include "memory/ram_bind.h"
#include "monitor/dev/platform/layout.h"
#include "monitor/worker/vm/vcpu.h"
#include "monitor/worker/vm/vnodes.h"
#include "numa/bind.h"

#define IOAPIC_PINS 24u

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

static int set_routes(struct vm *vm)
{
	vm->routes.head.nr = vm->nr_routes;
	return ioctl(vm->fd, KVM_SET_GSI_ROUTING, &vm->routes) < 0 ? -errno : 0;
}

static int new_route(struct vm *vm, int fd, uint32_t *gsi)
{
	struct kvm_irqfd irqfd = { .fd = (uint32_t)fd };

	if (vm->nr_routes == VM_MAX_MSI_ROUTES)
		return -ENOSPC;
	irqfd.gsi = GSI_MSI_FIRST + vm->nr_routes - IOAPIC_PINS;
	if (ioctl(vm->fd, KVM_IRQFD, &irqfd) < 0)
		return -errno;
	vm->routes.e[vm->nr_routes++] =
		(struct kvm_irq_routing_entry){ .gsi = irqfd.gsi,
						.type = KVM_IRQ_ROUTING_MSI };
	*gsi = irqfd.gsi;
	return 0;
}

static int host_msi_route(struct dev_host *h, int fd, uint32_t *gsi,
			  uint64_t addr, uint32_t data)
{
	struct vm *vm = from_host(h);
	int err = 0;

	(void)pthread_mutex_lock(&vm->route_lock);
	if (*gsi == 0)
		err = new_route(vm, fd, gsi);
	for (unsigned i = 0; !err && i < vm->nr_routes; i++) {
		struct kvm_irq_routing_entry *e = &vm->routes.e[i];

		if (e->gsi != *gsi || e->type != KVM_IRQ_ROUTING_MSI)
			continue;
		e->u.msi.address_lo = (uint32_t)addr;
		e->u.msi.address_hi = (uint32_t)(addr >> 32);
		e->u.msi.data = data;
		err = set_routes(vm);
		break;
	}
	(void)pthread_mutex_unlock(&vm->route_lock);
	return err;
}

static int host_ioeventfd(struct dev_host *h, int fd, uint64_t at, unsigned len,
			  bool on)
{
	struct kvm_ioeventfd e = { .addr = at, .len = len, .fd = fd };

	e.flags = on ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN;
	return ioctl(from_host(h)->fd, KVM_IOEVENTFD, &e) < 0 ? -errno : 0;
}

static void host_irq_line(struct dev_host *h, uint32_t gsi, bool high)
{
	struct kvm_irq_level l = { .irq = gsi, .level = high };

	/* Fails only for a line that does not exist. */
	(void)ioctl(from_host(h)->fd, KVM_IRQ_LINE, &l);
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
	int fd = from_host(h)->fd;

	/* One that is not there is no error. */
	(void)ioctl(fd, KVM_SET_USER_MEMORY_REGION, &r);
	if (!bytes)
		return 0;
	r.flags = read_only ? KVM_MEM_READONLY : 0;
	r.guest_phys_addr = at;
	r.memory_size = bytes;
	r.userspace_addr = (uintptr_t)hva;
	return ioctl(fd, KVM_SET_USER_MEMORY_REGION, &r) < 0 ? -errno : 0;
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
	for (unsigned i = 0; i < vm->ram.nr_slots; i++) {
		const struct ram_slot *s = &vm->ram.slots[i];
		struct kvm_userspace_memory_region r = {
			.slot = i,
			.guest_phys_addr = s->gpa,
			.memory_size = there ? s->bytes : 0,
			.userspace_addr = (uintptr_t)(vm->ram.hva + s->offset),
		};

		if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &r) < 0)
			return -errno;
	}
	return 0;
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

/* Small pages shown in a huge one would take it apart. */
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

/* RAM on its node; the boot image shown over it, or copied into it. */
static int make_memory(struct vm *vm)
{
	const struct worker_spec *s = vm->spec;
	int err = ram_view_create(&vm->ram, WORKER_FD_RAM, s->ram_bytes);

	if (!err)
		err = vm_bind_memory(vm);
	if (err)
		return err;
	/* Pages in place of reserved ones would cost memory once more. */
	err = pmap_create(&vm->ram, s->reserved ? 0 : pmap_budget(), &vm->pmap);
	if (err)
		return err;
	if (!s->huge_thp && !s->reserved)
		return boot_pages_show(vm->pmap, &vm->ram, &s->boot,
				       WORKER_FD_BOOT);
	if (s->huge_thp)
		(void)madvise(vm->ram.hva, s->ram_bytes, MADV_HUGEPAGE);
	return fill_boot_pages(vm);
}

static int make_irqchip(struct vm *vm)
{
	uint64_t identity = LAYOUT_IDENTITY_MAP;

	if (ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity) < 0 ||
	    ioctl(vm->fd, KVM_SET_TSS_ADDR, (unsigned long)LAYOUT_TSS) < 0 ||
	    ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0) < 0)
		return -errno;
	for (uint32_t pin = 0; pin < IOAPIC_PINS; pin++)
		vm->routes.e[vm->nr_routes++] = (struct kvm_irq_routing_entry){
			.gsi = pin,
			.type = KVM_IRQ_ROUTING_IRQCHIP,
			.u.irqchip = { .irqchip = KVM_IRQCHIP_IOAPIC,
				       .pin = pin },
		};
	return set_routes(vm);
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

static int make_kvm(struct vm *vm)
{
	int err;

	vm->fd = ioctl(vm->kvm_fd, KVM_CREATE_VM, 0);
	if (vm->fd < 0)
		return -errno;
	vm->tsc_deadline = ioctl(vm->kvm_fd, KVM_CHECK_EXTENSION,
				 KVM_CAP_TSC_DEADLINE_TIMER) > 0;
	err = cpuid_supported(vm->kvm_fd, &vm->cpuid);
	if (err)
		return err;
	regions_init(&vm->regions, vm->fd, &vm->ram,
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
	};

	vm->spec = spec;
	vm->node = spec->node;
	vm->kvm_fd = kvm_fd;
	vm->fd = vm->loop.epoll_fd = vm->stop_watch.fd = -1;
	vm->host.ops = &host_ops;
	vm->host.ram = &vm->ram;
	(void)pthread_mutex_init(&vm->route_lock, NULL);
	park_init(&vm->park);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		int err = steps[i].make(vm);

		if (err) {
			*what = steps[i].what;
			return err;
		}
	}
	return pci_bus_init(&vm->pci);
}

int vm_start(struct vm *vm)
{
	for (unsigned i = 0; i < vm->nr_vcpus; i++) {
		int err = vcpu_start(&vm->vcpus[i]);

		if (err)
			return err;
	}
	return 0;
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

void vm_park(struct vm *vm, uint32_t reason)
{
	vm_hurry(vm, true);
	park_begin(&vm->park, reason, vm->nr_vcpus, vm_kick, vm);
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
}

void vm_destroy(struct vm *vm)
{
	for (unsigned i = 0; i < vm->nr_vcpus; i++)
		vcpu_destroy(&vm->vcpus[i]);
	free(vm->vcpus);
	pmap_destroy(vm->pmap);
	ram_view_destroy(&vm->ram);
	if (vm->fd >= 0)
		(void)close(vm->fd);
	if (vm->stop_watch.fd >= 0)
		(void)close(vm->stop_watch.fd);
	io_loop_destroy(&vm->loop);
	region_destroy(&vm->shown);
	(void)pthread_mutex_destroy(&vm->route_lock);
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
