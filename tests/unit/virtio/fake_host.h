/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM without KVM, for tests of devices: RAM, I/O busses, a PCI bus, a real
 * event loop, and a record of what devices asked for. A failure of the
 * scaffolding itself ends the program (abort), so that fuzzers can use it.
 *
 * The guest's RAM is mapped twice: @ram is what devices see, @guest is what
 * the guest's CPUs see. So a "guest" that writes while a device reads is the
 * race it is in real life, and not one between two C variables.
 */
#ifndef TESTS_UNIT_MONITOR_FAKE_HOST_H
#define TESTS_UNIT_MONITOR_FAKE_HOST_H

#include "memory/guest_ram.h"
#include "monitor/dev/platform/bus.h"
#include "monitor/dev/platform/dev_host.h"
#include "monitor/dev/platform/pci.h"
#include "monitor/worker/vm/io_loop.h"

#define FAKE_MAX   32
#define FAKE_LINES 24

struct fake_ioeventfd {
	int fd;
	uint64_t at;
	unsigned len;
};

struct fake_route {
	int fd;
	uint64_t addr;
	uint32_t data;
	unsigned sent; /* counted by fake_host_msis() */
};

struct fake_host {
	struct dev_host host;
	int ram_fd;
	struct ram_view ram, guest;
	struct io_loop loop;
	struct io_bus pio, mmio;
	struct pci_bus pci;

	struct fake_ioeventfd io[FAKE_MAX];
	unsigned nr_io;
	bool refuse_ioeventfd;
	struct fake_route routes[FAKE_MAX]; /* gsi 1 .. */
	unsigned nr_routes, route_calls;
	bool refuse_routes;
	bool line[FAKE_LINES];
	unsigned edges[FAKE_LINES]; /* low to high */
	struct {
		uint64_t first, nr; /* pages */
	} freed[FAKE_MAX];
	unsigned nr_freed;    /* all calls */
	uint64_t freed_pages; /* of RAM */
	struct {
		uint64_t at; /* 0: not shown */
		uint8_t *hva;
		uint64_t bytes;
		bool read_only;
	} memory[2];
	bool refuse_memory;
	unsigned reports;
	char report_text[160]; /* the last one */
	unsigned stops;
	enum worker_stop stop_why; /* the first one */
	char stop_text[128];
};

#define must(x) ((x) ? (void)0 : fake_host_die(__FILE__, __LINE__, #x))
_Noreturn void fake_host_die(const char *file, int line, const char *what);

void fake_host_create(struct fake_host *h, uint64_t ram_bytes);
void fake_host_destroy(struct fake_host *h);

/*
 * Run the I/O thread until nothing is ready; returns callbacks made. It gives
 * up after a few thousand: then something spins, and the result shows it.
 */
unsigned fake_host_run(struct fake_host *h);
/* The same, but wait up to @ms for the first event. */
unsigned fake_host_wait(struct fake_host *h, int ms);

/* A guest's access, ioeventfds taken into account as KVM does. */
void fake_mmio_write(struct fake_host *h, uint64_t at, unsigned len,
		     uint64_t value);
uint64_t fake_mmio_read(struct fake_host *h, uint64_t at, unsigned len);
/* Configuration space by ECAM. */
void fake_config_write(struct fake_host *h, unsigned slot, unsigned off,
		       unsigned len, uint32_t value);
uint32_t fake_config_read(struct fake_host *h, unsigned slot, unsigned off,
			  unsigned len);

/* Interrupts sent with message @data so far. */
unsigned fake_host_msis(struct fake_host *h, uint32_t data);

/* Guest memory as the guest sees it; the range has to be RAM. */
void *fake_guest(struct fake_host *h, uint64_t at, uint64_t len);

#endif
