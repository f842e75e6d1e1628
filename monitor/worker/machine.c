/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/worker/machine.h"

#include "monitor/dev/platform/layout.h"
#include "monitor/worker/paging.h"

/* Mappings of all pmem disks: a quarter of what Linux allows a process. */
#define PMEM_MAPPINGS 16384u

_Static_assert(VM_MAX_DISKS <= RAM_MAX_WINDOWS, "a window a disk");
/* Every vector of every device can have a route at the same time. */
_Static_assert(GSI_MSI_FIRST + PCI_SLOTS * 3 +
			       VM_MAX_DISKS * (DISK_MAX_QUEUES + 1 - 3) <=
		       VM_MAX_MSI_ROUTES,
	       "a route a vector");

static int add_ports(struct machine *m)
{
	const struct {
		uint64_t base, bytes;
		const struct io_ops *ops;
		void *ctx;
	} ports[] = {
		{ PORT_SERIAL, SERIAL_PORTS, &serial_ops, &m->serial },
		{ PORT_I8042, 1, &power_i8042_ops, &m->vm.host },
		{ PORT_SLEEP, 2, &power_sleep_ops, &m->vm.host },
		{ PORT_RESET, 1, &power_reset_ops, &m->vm.host },
		{ PORT_PCI_CONFIG, 8, &pci_port_ops, &m->vm.pci },
	};
	int err = 0;

	for (size_t i = 0; !err && i < ARRAY_SIZE(ports); i++)
		err = io_bus_add(&m->vm.pio, ports[i].base, ports[i].bytes,
				 ports[i].ops, ports[i].ctx);
	if (!err)
		err = io_bus_add(&m->vm.mmio, LAYOUT_ECAM, LAYOUT_ECAM_BYTES,
				 &pci_ecam_ops, &m->vm.pci);
	if (!err)
		err = io_bus_add(&m->vm.mmio, LAYOUT_PCI_MMIO,
				 LAYOUT_PCI_MMIO_BYTES, &pci_mmio_ops,
				 &m->vm.pci);
	return err;
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
	return pci_add(&m->vm.pci, &m->hvc.v.pci);
}

static int add_small_devices(struct machine *m)
{
	int err = virtio_rng_init(&m->rng, &m->vm.host);

	if (!err)
		err = pci_add(&m->vm.pci, &m->rng.v.pci);
	pvpanic_init(&m->pvpanic, &m->vm.host);
	if (!err)
		err = pci_add(&m->vm.pci, &m->pvpanic.pci);
	return err;
}

/* @fd: the disk's first descriptor; moved past its last one. */
static int open_disk(const struct worker_disk *d, unsigned depth, int *fd,
		     struct disk **out)
{
	const char *why = ""; /* control has checked the file: not expected */
	int first = *fd;
	const int fds[DISK_COW_FDS] = {
		[DISK_BASE] = first,
		[DISK_COW] = first + 1,
		[DISK_COW_DIRECT] = d->direct > 0 ? first + 2 : -1,
		[DISK_BASE_DIRECT] = d->direct > 1 ? first + 3 : -1,
	};

	*fd += (int)worker_disk_fds(d);
	if (d->kind == WORKER_DISK_RAW)
		return disk_open(first, d->read_only, depth, out);
	return disk_open_cow(fds, d->kind == WORKER_DISK_TEMP, depth, out,
			     &why);
}

/* For each of them. */
static uint64_t pmem_budget(const struct worker_spec *s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->nr_disks; i++)
		n += s->disks[i].pmem != 0;
	return n ? PMEM_MAPPINGS / n : 0;
}

/* Only what is kept is a disk; the rest is pages of the base. */
static int open_pmem(const struct worker_disk *d, uint64_t budget, int *fd,
		     struct dax **out)
{
	struct dax_source src = { .bytes = d->bytes, .base = *fd, .cow = -1 };
	int err = 0;

	if (d->kind == WORKER_DISK_RAW) {
		*fd += (int)worker_disk_fds(d);
	} else {
		src.cow = src.base + 1;
		err = open_disk(d, DAX_DEPTH, fd, &src.disk);
	}
	return err ? err : dax_create(&src, budget, out);
}

static int add_pmem(struct machine *m, unsigned i, int *fd)
{
	const struct worker_disk *d = &m->vm.spec->disks[i];
	struct dax *dax;
	int err = open_pmem(d, pmem_budget(m->vm.spec), fd, &dax);

	if (err)
		return err;
	m->daxes[i] = dax;
	err = region_add(&m->vm, &m->regions[i], dax, d->read_only,
			 d->kind == WORKER_DISK_COW);
	if (!err && m->vm.pager)
		err = dax_use_cache(dax, m->buffers.cache, i, m->vm.pager);
	if (err)
		return err;
	err = virtio_pmem_create(&m->vm.host, dax, &m->pmems[i]);
	if (err)
		return err;
	return pci_add(&m->vm.pci, &virtio_pmem_dev(m->pmems[i])->pci);
}

/* The base of a disk does not change; a raw one may be written. */
static bool machine_can_cache(const struct worker_disk *d)
{
	return d->kind != WORKER_DISK_RAW || d->read_only;
}

/* A queue a vCPU: none waits for another's lock in the guest. */
static unsigned queues_of(const struct worker_spec *s,
			  const struct worker_disk *d)
{
	if (d->queues)
		return d->queues;
	return (unsigned)min_u64(s->nr_vcpus, DISK_MAX_QUEUES);
}

static int add_disk(struct machine *m, unsigned i, int *fd)
{
	const struct worker_disk *d = &m->vm.spec->disks[i];
	struct disk *disk;
	int err;

	if (d->pmem)
		return add_pmem(m, i, fd);
	err = open_disk(d, VIRTIO_BLK_DEPTH, fd, &disk);
	if (!err && machine_can_cache(d) && m->buffers.cache) {
		err = disk_use_cache(disk, m->buffers.cache, i);
		if (err)
			disk_close(disk);
	}
	if (err)
		return err;
	err = virtio_blk_create(&m->vm.host, disk, d->bytes, d->read_only,
				d->serial, queues_of(m->vm.spec, d),
				&m->disks[i]);
	if (!err)
		err = virtio_blk_limit(m->disks[i], d->iops, d->bps);
	if (err)
		return err;
	return pci_add(&m->vm.pci, &virtio_blk_dev(m->disks[i])->pci);
}

static void machine_turned(struct io_loop *l)
{
	struct machine *m = container_of(l, struct machine, vm.loop);

	buffers_turned(&m->buffers);
	merge_turned(&m->merge);
	paging_turned(m);
}

static int add_balloon(struct machine *m)
{
	int err = virtio_balloon_init(&m->balloon, &m->vm.host);

	return err ? err : pci_add(&m->vm.pci, &m->balloon.v.pci);
}

int machine_create(struct machine *m, const struct worker_spec *spec,
		   const char **what)
{
	int err = vm_create(&m->vm, WORKER_FD_KVM, spec, what);
	int fd = WORKER_FD_DISK0;

	if (err)
		return err;
	*what = "I/O busses";
	err = add_ports(m);
	if (err)
		return err;
	*what = "console";
	err = add_consoles(m);
	if (err)
		return err;
	*what = "entropy and panic devices";
	err = add_small_devices(m);
	*what = "buffer cache";
	if (!err && spec->adoptable)
		err = buffers_create(&m->buffers, &m->vm);
	if (!err && m->buffers.cache) {
		m->vm.loop.turned = machine_turned;
		err = paging_create(m);
	}
	*what = err ? *what : "disks";
	for (unsigned i = 0; !err && i < spec->nr_disks; i++)
		err = add_disk(m, i, &fd);
	if (err)
		return err;
	*what = "balloon";
	return add_balloon(m);
}

bool machine_disks_rest(const struct machine *m)
{
	for (unsigned i = 0; i < m->vm.spec->nr_disks; i++)
		if (m->disks[i] && !virtio_blk_idle(m->disks[i]))
			return false;
	return true;
}

int machine_rest(struct machine *m)
{
	int err = 0;

	vm_park(&m->vm, PARK_MOVE);
	vm_hurry(&m->vm, true);
	for (unsigned i = 0; i < m->vm.spec->nr_disks && !err; i++)
		if (m->disks[i])
			err = virtio_blk_drain(m->disks[i], MACHINE_REST_MS);
	return err;
}

void machine_resume(struct machine *m)
{
	vm_hurry(&m->vm, false);
	vm_unpark(&m->vm, PARK_MOVE);
}

void machine_go_on(struct machine *m)
{
	for (unsigned i = 0; i < m->vm.spec->nr_disks; i++)
		if (m->disks[i])
			virtio_blk_go_on(m->disks[i]);
}

int machine_settle(struct machine *m)
{
	int err = 0;

	for (unsigned i = 0; i < m->vm.spec->nr_disks; i++) {
		int one = virtio_blk_settle(m->disks[i]);
		int two = virtio_pmem_settle(m->pmems[i]);

		err = err ? err : one ? one : two;
	}
	return err;
}
