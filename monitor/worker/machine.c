/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/worker/machine.h"

#include "memory/replica/ram_copies.h"
#include "monitor/dev/platform/layout.h"

/* Every vector of every device can have a route at the same time. */
_Static_assert(GSI_MSI_FIRST + PCI_SLOTS * 3 +
			       VM_MAX_DISKS * (DISK_MAX_QUEUES + 1 - 3) +
			       VM_MAX_NETS * (2 * NET_MAX_QUEUES + 2 - 3) <=
		       VM_MAX_MSI_ROUTES,
	       "a route a vector");
_Static_assert(PCI_SLOTS * 3 + VM_MAX_DISKS * (DISK_MAX_QUEUES + 1 - 3) +
			       VM_MAX_NETS * (2 * NET_MAX_QUEUES + 2 - 3) <=
		       VIEW_MAX_ROUTES,
	       "the same with views");

static int add_registers(struct machine *m)
{
	struct vm *vm = &m->vm;
	const struct {
		struct io_bus *bus;
		uint64_t base, bytes;
		const struct io_ops *ops;
		void *ctx;
	} regs[] = {
		{ &vm->pio, PORT_SERIAL, SERIAL_PORTS, &serial_ops,
		  &m->serial },
		{ &vm->pio, PORT_I8042, 1, &power_i8042_ops, &vm->host },
		{ &vm->pio, PORT_SLEEP, 2, &power_sleep_ops, &vm->host },
		{ &vm->pio, PORT_RESET, 1, &power_reset_ops, &vm->host },
		{ &vm->pio, PORT_PCI_CONFIG, 8, &power_cf9_ops, &m->resets },
		{ &vm->pio, PORT_FAST_RESET, 1, &power_fast_ops, &m->resets },
		{ &vm->mmio, LAYOUT_ECAM, LAYOUT_ECAM_BYTES, &pci_ecam_ops,
		  &vm->pci },
		{ &vm->mmio, LAYOUT_PCI_MMIO, LAYOUT_PCI_MMIO_BYTES,
		  &pci_mmio_ops, &vm->pci },
	};

	reset_ports_init(&m->resets, &vm->host, &vm->pci);
	for (size_t i = 0; i < ARRAY_SIZE(regs); i++) {
		int err = io_bus_add(regs[i].bus, regs[i].base, regs[i].bytes,
				     regs[i].ops, regs[i].ctx);

		if (err)
			return err;
	}
	if (!vm->kvms.views)
		return 0;
	cmos_init(&m->cmos, NULL);
	return cmos_add(&m->cmos, &vm->pio);
}

static void machine_ports_changed(void *arg, uint64_t ports)
{
	struct machine *m = arg;

	if (m->vm.loop.figures)
		figures_set(&m->vm.loop.figures->ports, ports);
}

static int add_consoles(struct machine *m)
{
	int err = console_init(&m->console, &m->vm.host, WORKER_FD_CONSOLE);

	if (err)
		return err;
	serial_init(&m->serial, &m->vm.host, &m->console, GSI_SERIAL);
	err = virtio_console_init(&m->hvc, &m->vm.host, &m->console);
	if (err)
		return err;
	m->hvc.ports.changed = machine_ports_changed;
	m->hvc.ports.changed_arg = m;
	return pci_add(&m->vm.pci, &m->hvc.v.pci);
}

static void machine_panic_seen(void *arg, const char *text)
{
	struct machine *m = arg;

	standstill_suspect(&m->vm.standstill, text);
}

static uint64_t machine_written(void *arg)
{
	struct machine *m = arg;

	return console_written(&m->console);
}

static int watch_standstill(struct machine *m)
{
	m->console.panic_seen = machine_panic_seen;
	m->console.panic_arg = m;
	return standstill_create(&m->vm.standstill, &m->vm, machine_written, m);
}

static int add_small_devices(struct machine *m)
{
	int err = virtio_rng_init(&m->rng, &m->vm.host);

	if (err)
		return err;
	err = pci_add(&m->vm.pci, &m->rng.v.pci);
	if (err)
		return err;
	pvpanic_init(&m->pvpanic, &m->vm.host);
	return pci_add(&m->vm.pci, &m->pvpanic.pci);
}

/* Nothing is written to the guest's memory by what the kernel has pinned. */
static void machine_turned_idle(void *arg)
{
	struct machine *m = arg;

	if ((!m->shms.nr && !m->vm.copies) || !disks_idle(&m->disks))
		return;
	shms_idle(&m->shms);
	if (m->vm.copies)
		ram_copies_idle(m->vm.copies);
}

static void machine_turned(void *arg)
{
	struct machine *m = arg;

	buffers_turned(&m->buffers);
	merge_turned(&m->merge);
	refs_turned(&m->refs);
	paging_turned(&m->paging);
	machine_turned_idle(m);
}

static bool machine_rests(void *arg)
{
	const struct machine *m = arg;

	return disks_idle(&m->disks);
}

/* Of a VM that the monitor has; any other reads its disks without one. */
static int make_cache(struct machine *m)
{
	int err;

	m->vm.loop.turned_arg = m;
	m->vm.loop.turned = machine_turned_idle;
	if (!m->vm.spec->adoptable)
		return 0;
	err = buffers_create(&m->buffers, &m->vm, &m->disks);
	if (err)
		return err;
	err = refs_create(&m->refs, &m->vm, m->buffers.cache,
			  m->buffers.pagemap, machine_rests, m);
	if (err)
		return err;
	m->vm.loop.turned = machine_turned;
	return paging_create(&m->paging);
}

static int add_disks(struct machine *m)
{
	return disks_create(&m->disks, m->buffers.cache);
}

static int add_nets(struct machine *m)
{
	return wnets_create(&m->nets, &m->vm,
			    m->vm.spec->adoptable ? &m->refs : NULL);
}

static int add_shms(struct machine *m)
{
	return shms_create(&m->shms, &m->vm);
}

static int add_balloon(struct machine *m)
{
	int err = virtio_balloon_init(&m->balloon, &m->vm.host);

	return err ? err : pci_add(&m->vm.pci, &m->balloon.v.pci);
}

/* Last, so that it changes the place of no other device. */
static int add_hints(struct machine *m)
{
	return hinting_create(&m->hinting, &m->vm, &m->merge);
}

int machine_create(struct machine *m, const struct worker_spec *spec,
		   const char **what)
{
	static const struct {
		int (*make)(struct machine *m);
		const char *what;
	} steps[] = {
		{ add_registers, "I/O busses" },
		{ add_consoles, "console" },
		{ add_small_devices, "entropy and panic devices" },
		{ make_cache, "buffer cache" },
		{ add_disks, "disks" },
		{ add_nets, "networks" },
		{ add_shms, "shared segments" },
		{ add_balloon, "balloon" },
		{ add_hints, "device for hints" },
		{ watch_standstill, "watch of the guest" },
	};
	int err = vm_create(&m->vm, WORKER_FD_KVM, spec, what);

	if (err)
		return err;
	disks_init(&m->disks, &m->vm);
	paging_init(&m->paging, &m->vm, &m->disks, &m->buffers);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		err = steps[i].make(m);
		if (err) {
			*what = steps[i].what;
			return err;
		}
	}
	return 0;
}
