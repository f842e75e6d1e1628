/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Everything a vCPU can do without memory: ports, configuration space and
 * MMIO, at the addresses where something is and next to them. Checked: values
 * fit their width, both ways into configuration space show the same, a BAR
 * answers only while it is decoded; and what the sanitizers see.
 */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "monitor/dev/platform/power.h"
#include "monitor/dev/platform/serial.h"
#include "monitor/dev/virtio/virtio_rng.h"
#include "monitor/dev/platform/layout.h"
#include "tests/fuzz/bytes.h"
#include "tests/unit/virtio/fake_host.h"

#define MAX_OPS	 500u
#define NR_SLOTS 4u /* bridge, two devices, nobody */

static struct fake_host h;
static struct console con;
static struct serial uart;
static struct virtio_rng rng;
static struct pvpanic pvpanic;
static int peer;

static void add_ports(void)
{
	must(io_bus_add(&h.pio, PORT_SERIAL, SERIAL_PORTS, &serial_ops,
			&uart) == 0);
	must(io_bus_add(&h.pio, PORT_I8042, 1, &power_i8042_ops, &h.host) == 0);
	must(io_bus_add(&h.pio, PORT_SLEEP, 2, &power_sleep_ops, &h.host) == 0);
	must(io_bus_add(&h.pio, PORT_RESET, 1, &power_reset_ops, &h.host) == 0);
}

static void make(void)
{
	int sv[2];

	fake_host_create(&h, MIB(1));
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv) == 0);
	peer = sv[1];
	must(console_init(&con, &h.host, sv[0]) == 0);
	serial_init(&uart, &h.host, &con, GSI_SERIAL);
	add_ports();
	must(virtio_rng_init(&rng, &h.host) == 0);
	must(pci_add(&h.pci, &rng.v.pci) == 0);
	pvpanic_init(&pvpanic, &h.host);
	must(pci_add(&h.pci, &pvpanic.pci) == 0);
}

static void destroy(void)
{
	int fd = con.sock.fd;

	pci_dev_destroy(&pvpanic.pci);
	virtio_rng_destroy(&rng);
	serial_destroy(&uart);
	console_destroy(&con);
	(void)close(fd);
	(void)close(peer);
	fake_host_destroy(&h);
}

/* An address at or next to where something is. */
static uint64_t port(struct bytes *b, unsigned kind)
{
	static const uint64_t base[] = { PORT_SERIAL, PORT_I8042, PORT_SLEEP,
					 PORT_RESET, PORT_PCI_CONFIG };

	if (kind % 6 == 5)
		return take(b, 2);
	return base[kind % 6] + take(b, 1) % 10 - 1;
}

static uint64_t mmio(struct bytes *b, unsigned kind)
{
	struct pci_dev *devs[] = { &rng.v.pci, &pvpanic.pci };
	struct pci_dev *d = devs[kind % 2];

	switch (kind % 4) {
	case 0:
	case 1:
		return d->bar_base + take(b, 2) % (d->bar_bytes + 16) - 8;
	case 2:
		return LAYOUT_ECAM + take(b, 3);
	default:
		return take(b, 8);
	}
}

static void access_bus(struct bytes *b, const struct io_bus *bus, uint64_t at,
		       unsigned len, bool write)
{
	if (write)
		io_bus_write(bus, at, len, take(b, len));
	else
		must(io_bus_read(bus, at, len) <= io_ones(len));
}

static void check_config(struct bytes *b)
{
	unsigned slot = (unsigned)take(b, 1) % NR_SLOTS;
	unsigned len = 1u << take(b, 1) % 3;
	unsigned off = (unsigned)take(b, 1) & ~(len - 1);
	uint32_t by_port, by_ecam;

	/* Reading through the window has effects: not comparable. */
	if (slot == 1 && off + len > rng.v.window + 16 &&
	    off < rng.v.window + 20)
		return;
	io_bus_write(&h.pio, PORT_PCI_CONFIG, 4,
		     0x80000000 | slot << 11 | (off & 0xfc));
	by_port = (uint32_t)io_bus_read(&h.pio, PORT_PCI_CONFIG + 4 + (off & 3),
					len);
	by_ecam = fake_config_read(&h, slot, off, len);
	must(by_port == by_ecam);
}

static void check_bar(struct pci_dev *d)
{
	uint32_t bar = fake_config_read(&h, d == &rng.v.pci ? 1 : 2, 0x10, 4);
	bool decoded = d->config[4] & 2;

	must(bar % d->bar_bytes == 0);
	must(d->bar_base == 0 || (decoded && d->bar_base == bar));
	must(d->bar_base == 0 ||
	     range_fits(d->bar_base - LAYOUT_PCI_MMIO, d->bar_bytes,
			LAYOUT_PCI_MMIO_BYTES));
}

static void step(struct bytes *b)
{
	unsigned what = (unsigned)take(b, 1), slot;
	unsigned len = 1u << (what >> 6);
	uint8_t buf[16];

	switch (what & 7) {
	case 0:
	case 1:
		access_bus(b, &h.pio, port(b, what >> 3), len > 4 ? 4 : len,
			   what & 1);
		break;
	case 2:
	case 3:
		access_bus(b, &h.mmio, mmio(b, what >> 3), len, what & 1);
		break;
	case 4:
		check_config(b);
		break;
	case 5:
		slot = (unsigned)take(b, 1) % NR_SLOTS;
		fake_config_write(&h, slot, (unsigned)take(b, 1),
				  len > 4 ? 4 : len, (uint32_t)take(b, 4));
		break;
	case 6:
		(void)send(peer, buf, take_into(b, buf, what >> 4),
			   MSG_DONTWAIT | MSG_NOSIGNAL);
		break;
	default:
		must(fake_host_run(&h) < 4000);
	}
	check_bar(&rng.v.pci);
	check_bar(&pvpanic.pci);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes b = { data, size };

	make();
	for (unsigned i = 0; i < MAX_OPS && b.n; i++)
		step(&b);
	must(fake_host_run(&h) < 4000);
	destroy();
	return 0;
}
