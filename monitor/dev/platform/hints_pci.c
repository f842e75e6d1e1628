/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/dev/platform/hints_pci.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define NS_PER_S 1000000000ull

/* What the host acts upon or records: all that there is. */
#define HINTS_KINDS ((1u << HINTS_NR_KINDS) - 2)

static struct hints_pci *hints_pci_of(struct pci_dev *pci)
{
	return container_of(pci, struct hints_pci, pci);
}

/* --- registers ----------------------------------------------------------------- */

static uint64_t hints_pci_read(struct pci_dev *pci, uint64_t off, unsigned len)
{
	(void)pci;
	if (len != 4)
		return 0;
	switch (off) {
	case HINTS_REG_MAGIC:
		return HINTS_MAGIC;
	case HINTS_REG_VERSION:
		return HINTS_VERSION;
	case HINTS_REG_KINDS:
		return HINTS_KINDS;
	case HINTS_REG_ENTRIES:
		return HINTS_ENTRIES;
	default:
		return 0;
	}
}

static void hints_pci_ring(struct hints_pci *d)
{
	/* Cannot fail but for a full counter, which is a doorbell, too. */
	(void)eventfd_write(d->doorbell.fd, 1);
}

/* Also what the guest writes to memory that it may only read. */
static void hints_pci_write(struct pci_dev *pci, uint64_t off, unsigned len,
			    uint64_t value)
{
	struct hints_pci *d = hints_pci_of(pci);

	(void)value;
	if (len != 4)
		return;
	if (off == HINTS_REG_DOORBELL) {
		hints_pci_ring(d);
	} else if (off == HINTS_REG_RESET) {
		(void)pthread_mutex_lock(&d->lock);
		hints_reset(&d->hints);
		(void)pthread_mutex_unlock(&d->lock);
	}
}

/* --- where the BAR is ---------------------------------------------------------- */

static int hints_pci_show(struct hints_pci *d, uint64_t base)
{
	const struct dev_host_ops *ops = d->host->ops;
	int err = ops->show_memory(d->host, 0, base + HINTS_INFO_AT,
				   d->bar + HINTS_INFO_AT, HINTS_INFO_BYTES,
				   true);

	return err ? err
		   : ops->show_memory(d->host, 1, base + HINTS_TAIL_AT,
				      d->bar + HINTS_TAIL_AT, HINTS_RING_BYTES,
				      false);
}

static void hints_pci_hide(struct hints_pci *d)
{
	for (unsigned i = 0; i < 2; i++)
		(void)d->host->ops->show_memory(d->host, i, 0, NULL, 0, false);
	d->shown = 0;
}

/*
 * Without the memory the device is of no use, but the guest's accesses are as
 * harmless as those to registers: they read 0. Context: I/O thread. A guest that
 * moves the BAR meanwhile has signalled that again.
 */
static void hints_pci_follow(struct io_watch *w, uint32_t events)
{
	struct hints_pci *d = container_of(w, struct hints_pci, moved);
	uint64_t base;
	eventfd_t n;

	(void)events;
	(void)eventfd_read(w->fd, &n);
	base = atomic_load_explicit(&d->pci.bar_base, memory_order_relaxed);
	if (base == d->shown)
		return;
	if (d->shown)
		hints_pci_hide(d);
	if (!base)
		return;
	if (hints_pci_show(d, base))
		hints_pci_hide(d);
	else
		d->shown = base;
}

static void hints_pci_moved(struct pci_dev *pci, uint64_t base)
{
	struct hints_pci *d = hints_pci_of(pci);
	const struct dev_host_ops *ops = d->host->ops;

	if (d->heard)
		(void)ops->ioeventfd(d->host, d->doorbell.fd,
				     d->heard + HINTS_REG_DOORBELL, 4, false);
	d->heard = 0;
	/* If not: an exit each time, and hints_pci_write(). */
	if (base && ops->ioeventfd(d->host, d->doorbell.fd,
				   base + HINTS_REG_DOORBELL, 4, true) == 0)
		d->heard = base;
	(void)eventfd_write(d->moved.fd, 1);
}

static const struct pci_dev_ops hints_pci_ops = {
	.bar_read = hints_pci_read,
	.bar_write = hints_pci_write,
	.bar_moved = hints_pci_moved,
};

/* --- the ring ------------------------------------------------------------------ */

static void hints_pci_arm(struct hints_pci *d, uint64_t ns)
{
	const struct itimerspec t = {
		.it_value = { .tv_sec = (time_t)(ns / NS_PER_S),
			      .tv_nsec = (long)(ns % NS_PER_S) }
	};

	(void)timerfd_settime(d->timer.fd, 0, &t, NULL);
}

/* @on: doorbells wake the I/O thread; else the timer alone. */
static void hints_pci_listen(struct hints_pci *d, bool on)
{
	(void)d->host->ops->watch(d->host, &d->doorbell, on ? EPOLLIN : 0);
}

static void hints_pci_serve(struct hints_pci *d)
{
	uint64_t wait_ns = 0;
	enum hints_next next;

	(void)pthread_mutex_lock(&d->lock);
	next = hints_serve(&d->hints, &wait_ns);
	(void)pthread_mutex_unlock(&d->lock);
	if (next == HINTS_MORE) {
		hints_pci_ring(d); /* behind what else is ready */
	} else if (next == HINTS_WAIT) {
		hints_pci_listen(d, false);
		hints_pci_arm(d, wait_ns);
	}
	if (d->served)
		d->served(d->served_arg);
}

static void hints_pci_rung(struct io_watch *w, uint32_t events)
{
	eventfd_t n;

	(void)events;
	(void)eventfd_read(w->fd, &n);
	hints_pci_serve(container_of(w, struct hints_pci, doorbell));
}

static void hints_pci_rested(struct io_watch *w, uint32_t events)
{
	struct hints_pci *d = container_of(w, struct hints_pci, timer);
	uint64_t n;

	(void)events;
	(void)!read(w->fd, &n, sizeof(n));
	hints_pci_listen(d, true);
	hints_pci_serve(d);
}

/* --- life ---------------------------------------------------------------------- */

/* The same memory twice: to be written, and the ring to be read. */
static int hints_pci_map(struct hints_pci *d)
{
	int fd = memfd_create("disco-hints", MFD_CLOEXEC), err = 0;
	void *bar = MAP_FAILED, *ring = MAP_FAILED;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, HINTS_BAR_BYTES) == 0)
		bar = mmap(NULL, HINTS_BAR_BYTES, PROT_READ | PROT_WRITE,
			   MAP_SHARED, fd, 0);
	if (bar != MAP_FAILED) {
		d->bar = bar;
		ring = mmap(NULL, HINTS_RING_BYTES, PROT_READ, MAP_SHARED, fd,
			    HINTS_TAIL_AT);
	}
	if (ring != MAP_FAILED)
		d->ring = ring;
	else
		err = -errno;
	(void)close(fd);
	return err;
}

/* Each of them in turn, which also serves hints_pci_destroy(). */
static struct io_watch *hints_pci_nth(struct hints_pci *d, unsigned i)
{
	struct io_watch *const all[] = { &d->doorbell, &d->moved, &d->timer };

	return i < ARRAY_SIZE(all) ? all[i] : NULL;
}

static int hints_pci_watch(struct hints_pci *d)
{
	struct io_watch *w;
	int err = 0;

	d->doorbell.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (d->doorbell.fd < 0)
		return -errno;
	d->moved.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (d->moved.fd < 0)
		return -errno;
	d->timer.fd =
		timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (d->timer.fd < 0)
		return -errno;
	for (unsigned i = 0; !err && (w = hints_pci_nth(d, i)); i++)
		err = d->host->ops->watch(d->host, w, EPOLLIN);
	return err;
}

int hints_pci_init(struct hints_pci *d, struct dev_host *host,
		   const struct hints_config *c)
{
	/* A system peripheral of no kind that has a number. */
	static const struct pci_id id = { .vendor = HINTS_PCI_VENDOR,
					  .device = HINTS_PCI_DEVICE,
					  .subsystem_vendor = HINTS_PCI_VENDOR,
					  .subsystem = HINTS_PCI_DEVICE,
					  .revision = HINTS_VERSION,
					  .class_code = 0x088000 };
	struct hints_config with = *c;
	int err;

	d->host = host;
	d->doorbell = (struct io_watch){ .fd = -1, .ready = hints_pci_rung };
	d->moved = (struct io_watch){ .fd = -1, .ready = hints_pci_follow };
	d->timer = (struct io_watch){ .fd = -1, .ready = hints_pci_rested };
	(void)pthread_mutex_init(&d->lock, NULL);
	pci_dev_init(&d->pci, &id, &hints_pci_ops, HINTS_BAR_BYTES);
	err = hints_pci_map(d);
	if (err)
		return err;
	with.bar = d->bar;
	with.ring = d->ring;
	hints_init(&d->hints, &with);
	return hints_pci_watch(d);
}

void hints_pci_destroy(struct hints_pci *d)
{
	struct io_watch *w;

	if (!d->host)
		return;
	for (unsigned i = 0; (w = hints_pci_nth(d, i)); i++) {
		if (w->fd < 0)
			continue;
		(void)d->host->ops->watch(d->host, w, 0);
		(void)close(w->fd);
		w->fd = -1;
	}
	if (d->ring)
		(void)munmap((void *)d->ring, HINTS_RING_BYTES);
	if (d->bar)
		(void)munmap(d->bar, HINTS_BAR_BYTES);
	d->ring = d->bar = NULL;
	pci_dev_destroy(&d->pci);
	(void)pthread_mutex_destroy(&d->lock);
	d->host = NULL;
}

void hints_pci_tell_home(struct hints_pci *d, nodeid_t node)
{
	(void)pthread_mutex_lock(&d->lock);
	hints_tell_home(&d->hints, node);
	(void)pthread_mutex_unlock(&d->lock);
}
