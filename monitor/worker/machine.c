/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/worker/machine.h"

#include "monitor/worker/layout.h"

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
static int open_disk(const struct worker_disk *d, int *fd, struct disk **out)
{
	const char *why = ""; /* control has checked the file: not expected */
	int base = *fd;

	if (d->kind == WORKER_DISK_RAW) {
		*fd += 1;
		return disk_open(base, d->read_only, VIRTIO_BLK_DEPTH, out);
	}
	*fd += 2;
	return disk_open_cow(base, base + 1, d->kind == WORKER_DISK_TEMP,
			     VIRTIO_BLK_DEPTH, out, &why);
}

static int add_disk(struct machine *m, unsigned i, int *fd)
{
	const struct worker_disk *d = &m->vm.spec->disks[i];
	struct disk *disk;
	int err = open_disk(d, fd, &disk);

	if (err)
		return err;
	err = virtio_blk_create(&m->vm.host, disk, d->bytes, d->read_only,
				d->serial, &m->disks[i]);
	if (err)
		return err;
	return pci_add(&m->vm.pci, &virtio_blk_dev(m->disks[i])->pci);
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
	*what = "disks";
	for (unsigned i = 0; !err && i < spec->nr_disks; i++)
		err = add_disk(m, i, &fd);
	if (err)
		return err;
	*what = "balloon";
	return add_balloon(m);
}

int machine_settle(struct machine *m)
{
	int err = 0;

	for (unsigned i = 0; i < m->vm.spec->nr_disks; i++) {
		int one = virtio_blk_settle(m->disks[i]);

		err = err ? err : one;
	}
	return err;
}
