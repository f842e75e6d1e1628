/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/virtio/fake_host.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "monitor/dev/platform/layout.h"

#define RUN_LIMIT 5000u

_Noreturn void fake_host_die(const char *file, int line, const char *what)
{
	(void)fprintf(stderr, "%s:%d: %s\n", file, line, what);
	abort();
}

static struct fake_host *from_host(struct dev_host *h)
{
	return container_of(h, struct fake_host, host);
}

/* --- what devices ask for --- */

static int msi_route(struct dev_host *dh, int fd, uint32_t *gsi, uint64_t addr,
		     uint32_t data)
{
	struct fake_host *h = from_host(dh);
	struct fake_route *r;

	h->route_calls++;
	if (h->refuse_routes || (*gsi == 0 && h->nr_routes == FAKE_MAX))
		return -ENOSPC;
	if (*gsi == 0)
		*gsi = ++h->nr_routes;
	must(*gsi <= h->nr_routes);
	r = &h->routes[*gsi - 1];
	r->fd = fd;
	r->addr = addr;
	r->data = data;
	return 0;
}

static int find_ioeventfd(const struct fake_host *h, uint64_t at, unsigned len)
{
	for (unsigned i = 0; i < h->nr_io; i++)
		if (h->io[i].at == at &&
		    (h->io[i].len == 0 || h->io[i].len == len))
			return (int)i;
	return -1;
}

static int ioeventfd(struct dev_host *dh, int fd, uint64_t at, unsigned len,
		     bool on)
{
	struct fake_host *h = from_host(dh);
	int i = find_ioeventfd(h, at, len);

	if (!on) {
		if (i < 0 || h->io[i].fd != fd)
			return -ENOENT;
		h->io[i] = h->io[--h->nr_io];
		return 0;
	}
	if (i >= 0)
		return -EEXIST;
	if (h->refuse_ioeventfd || h->nr_io == FAKE_MAX)
		return -ENOSPC;
	h->io[h->nr_io++] = (struct fake_ioeventfd){ fd, at, len };
	return 0;
}

static void irq_line(struct dev_host *dh, uint32_t gsi, bool high)
{
	struct fake_host *h = from_host(dh);

	must(gsi < FAKE_LINES);
	if (high && !h->line[gsi])
		h->edges[gsi]++;
	h->line[gsi] = high;
}

static int watch(struct dev_host *dh, struct io_watch *w, uint32_t events)
{
	return io_loop_watch(&from_host(dh)->loop, w, events);
}

static void free_pages(struct dev_host *dh, gfn_t first, uint64_t nr)
{
	struct fake_host *h = from_host(dh);

	if (h->nr_freed < FAKE_MAX) {
		h->freed[h->nr_freed].first = first.v;
		h->freed[h->nr_freed].nr = nr;
	}
	h->nr_freed++;
	if (ram_at(&h->ram, gpa(first.v * PAGE_BYTES), nr * PAGE_BYTES))
		h->freed_pages += nr;
}

static int show_memory(struct dev_host *dh, unsigned which, uint64_t at,
		       void *hva, uint64_t bytes, bool read_only)
{
	struct fake_host *h = from_host(dh);

	must(which < 2);
	if (bytes && h->refuse_memory)
		return -EINVAL;
	h->memory[which].at = bytes ? at : 0;
	h->memory[which].hva = bytes ? hva : NULL;
	h->memory[which].bytes = bytes;
	h->memory[which].read_only = read_only;
	return 0;
}

static void report(struct dev_host *dh, const char *text)
{
	struct fake_host *h = from_host(dh);

	h->reports++;
	(void)snprintf(h->report_text, sizeof(h->report_text), "%s", text);
}

static void stop(struct dev_host *dh, enum worker_stop why, const char *text)
{
	struct fake_host *h = from_host(dh);

	if (h->stops++)
		return;
	h->stop_why = why;
	(void)snprintf(h->stop_text, sizeof(h->stop_text), "%s", text);
}

static const struct dev_host_ops fake_ops = {
	.msi_route = msi_route,
	.ioeventfd = ioeventfd,
	.irq_line = irq_line,
	.watch = watch,
	.free_pages = free_pages,
	.show_memory = show_memory,
	.report = report,
	.stop = stop,
};

/* --- life --- */

void fake_host_create(struct fake_host *h, uint64_t ram_bytes)
{
	memset(h, 0, sizeof(*h));
	h->host = (struct dev_host){ .ops = &fake_ops, .ram = &h->ram };
	h->ram_fd = memfd_create("test-ram", MFD_CLOEXEC);
	must(h->ram_fd >= 0);
	must(ftruncate(h->ram_fd, (off_t)ram_bytes) == 0);
	must(ram_view_create(&h->ram, h->ram_fd, ram_bytes) == 0);
	must(ram_view_create(&h->guest, h->ram_fd, ram_bytes) == 0);
	must(io_loop_init(&h->loop) == 0);
	must(pci_bus_init(&h->pci) == 0);
	must(io_bus_add(&h->pio, PORT_PCI_CONFIG, 8, &pci_port_ops, &h->pci) ==
	     0);
	must(io_bus_add(&h->mmio, LAYOUT_ECAM, LAYOUT_ECAM_BYTES, &pci_ecam_ops,
			&h->pci) == 0);
	must(io_bus_add(&h->mmio, LAYOUT_PCI_MMIO, LAYOUT_PCI_MMIO_BYTES,
			&pci_mmio_ops, &h->pci) == 0);
}

void fake_host_destroy(struct fake_host *h)
{
	pci_bus_destroy(&h->pci);
	io_loop_destroy(&h->loop);
	ram_view_destroy(&h->guest);
	ram_view_destroy(&h->ram);
	(void)close(h->ram_fd);
}

unsigned fake_host_wait(struct fake_host *h, int ms)
{
	struct epoll_event e[8];
	unsigned done = 0;
	int n;

	while (done < RUN_LIMIT) {
		n = epoll_wait(h->loop.epoll_fd, e, ARRAY_SIZE(e), ms);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		for (int i = 0; i < n; i++) {
			struct io_watch *w = e[i].data.ptr;

			w->ready(w, e[i].events);
		}
		done += (unsigned)n;
		ms = 0;
	}
	return done;
}

unsigned fake_host_run(struct fake_host *h)
{
	return fake_host_wait(h, 0);
}

/* --- what a guest does --- */

void fake_mmio_write(struct fake_host *h, uint64_t at, unsigned len,
		     uint64_t value)
{
	int i = find_ioeventfd(h, at, len);
	uint64_t one = 1;

	if (i < 0)
		io_bus_write(&h->mmio, at, len, value);
	else
		must(write(h->io[i].fd, &one, sizeof(one)) == sizeof(one) ||
		     errno == EAGAIN);
}

uint64_t fake_mmio_read(struct fake_host *h, uint64_t at, unsigned len)
{
	return io_bus_read(&h->mmio, at, len);
}

void fake_config_write(struct fake_host *h, unsigned slot, unsigned off,
		       unsigned len, uint32_t value)
{
	io_bus_write(&h->mmio, LAYOUT_ECAM + (slot << 15) + off, len, value);
}

uint32_t fake_config_read(struct fake_host *h, unsigned slot, unsigned off,
			  unsigned len)
{
	return (uint32_t)io_bus_read(&h->mmio, LAYOUT_ECAM + (slot << 15) + off,
				     len);
}

unsigned fake_host_msis(struct fake_host *h, uint32_t data)
{
	unsigned total = 0;
	uint64_t n;

	for (unsigned i = 0; i < h->nr_routes; i++) {
		struct fake_route *r = &h->routes[i];

		if (read(r->fd, &n, sizeof(n)) == sizeof(n))
			r->sent += (unsigned)n;
		if (r->data == data)
			total += r->sent;
	}
	return total;
}

void *fake_guest(struct fake_host *h, uint64_t at, uint64_t len)
{
	void *p = ram_at(&h->guest, gpa(at), len);

	must(p);
	return p;
}
