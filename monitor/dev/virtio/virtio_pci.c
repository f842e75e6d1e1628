/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/dev/virtio/virtio_pci.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "monitor/dev/platform/bus.h"

/* BAR 0, 32 KiB. */
#define BAR_COMMON    0x0000u
#define BAR_ISR	      0x1000u
#define BAR_DEVICE    0x2000u
#define BAR_NOTIFY    0x3000u
#define BAR_MSIX      0x4000u
#define BAR_PBA	      0x5000u
#define BAR_BYTES     0x8000u
#define REGION_BYTES  0x1000u
#define NOTIFY_STRIDE 4u /* notify_off_multiplier */
#define SERVE_ROUNDS  8u /* then other descriptors have their turn */

/* 4.1.4: capability types. */
#define CAP_VENDOR 0x09
#define CFG_COMMON 1
#define CFG_NOTIFY 2
#define CFG_ISR	   3
#define CFG_DEVICE 4
#define CFG_PCI	   5
#define NO_VECTOR  0xffffu
#define ISR_QUEUE  1u
#define ISR_CONFIG 2u

/* 4.1.4.3: struct virtio_pci_common_cfg. */
enum common_reg {
	COMMON_DF_SELECT = 0x00,
	COMMON_DF = 0x04,
	COMMON_GF_SELECT = 0x08,
	COMMON_GF = 0x0c,
	COMMON_MSIX = 0x10,
	COMMON_NUM_QUEUES = 0x12,
	COMMON_STATUS = 0x14,
	COMMON_GENERATION = 0x15,
	COMMON_Q_SELECT = 0x16,
	COMMON_Q_SIZE = 0x18,
	COMMON_Q_MSIX = 0x1a,
	COMMON_Q_ENABLE = 0x1c,
	COMMON_Q_NOFF = 0x1e,
	COMMON_Q_DESC = 0x20,
	COMMON_Q_AVAIL = 0x28,
	COMMON_Q_USED = 0x30,
	COMMON_END = 0x38,
};

static struct virtio_dev *from_pci(struct pci_dev *d)
{
	return container_of(d, struct virtio_dev, pci);
}

static void vpci_lock(struct virtio_dev *v)
{
	(void)pthread_mutex_lock(&v->lock);
}

static void vpci_unlock(struct virtio_dev *v)
{
	(void)pthread_mutex_unlock(&v->lock);
}

/* --- interrupts --- */

static void vpci_interrupt(struct virtio_dev *v, uint8_t isr, uint16_t vector)
{
	(void)atomic_fetch_or_explicit(&v->isr, isr, memory_order_relaxed);
	if (vector != NO_VECTOR)
		msix_send(&v->pci.msix, vector);
}

/* For a chain that was pushed. */
static void queue_interrupt(struct virtio_dev *v, uint16_t vector)
{
	if (!v->serving) {
		vpci_interrupt(v, ISR_QUEUE, vector);
		return;
	}
	(void)atomic_fetch_or_explicit(&v->isr, ISR_QUEUE,
				       memory_order_relaxed);
	if (vector != NO_VECTOR)
		v->due |= 1u << vector;
}

/* After virtio_ops.serve(): what is due is for this thread to send. */
static uint32_t take_due(struct virtio_dev *v)
{
	uint32_t due = v->due;

	v->due = 0;
	v->serving = false;
	return due;
}

/* The lock is not held. */
static void send_due(struct virtio_dev *v, uint32_t due)
{
	for (; due; due &= due - 1)
		msix_send(&v->pci.msix, (unsigned)__builtin_ctz(due));
}

static const char *virtio_type_name(const struct virtio_dev *v)
{
	static const char *const names[] = {
		[1] = "network", [2] = "block",	  [3] = "console",
		[4] = "entropy", [5] = "balloon", [27] = "pmem",
	};
	uint16_t type = v->ops->type;

	return type < ARRAY_SIZE(names) && names[type] ? names[type]
						       : "unknown";
}

/* Once: a driver that breaks the rules after each reset fills no log. */
static void virtio_report_death(struct virtio_dev *v, const char *why)
{
	char text[160];

	if (v->death_reported)
		return;
	v->death_reported = true;
	(void)snprintf(text, sizeof(text),
		       "virtio %s device 00:%02x.0 stands still until its "
		       "driver resets it: %s",
		       virtio_type_name(v), v->pci.slot, why);
	v->host->ops->report(v->host, text);
}

void virtio_needs_reset(struct virtio_dev *v, const char *why)
{
	virtio_report_death(v, why);
	if (v->status & VIRTIO_STATUS_NEEDS_RESET)
		return;
	v->status |= VIRTIO_STATUS_NEEDS_RESET;
	v->generation++;
	if (v->status & VIRTIO_STATUS_DRIVER_OK)
		vpci_interrupt(v, ISR_CONFIG, v->config_vector);
}

bool virtio_pop(struct virtio_dev *v, unsigned queue, struct vq_chain *c)
{
	struct vq *q = &v->queues[queue].vq;
	int got = vq_pop(q, c);

	if (got < 0)
		virtio_needs_reset(v, q->why);
	return got > 0;
}

void virtio_push(struct virtio_dev *v, unsigned queue, uint16_t head,
		 uint32_t written)
{
	struct virtio_queue *q = &v->queues[queue];

	vq_push(&q->vq, head, written);
	if (vq_wants_interrupt(&q->vq))
		queue_interrupt(v, q->vector);
}

void virtio_push_all(struct virtio_dev *v, unsigned queue,
		     const struct vq_used *u, unsigned n)
{
	struct virtio_queue *q = &v->queues[queue];

	vq_push_all(&q->vq, u, n);
	if (vq_wants_interrupt(&q->vq))
		queue_interrupt(v, q->vector);
}

void virtio_set_config(struct virtio_dev *v, unsigned off, const void *from,
		       unsigned bytes)
{
	vpci_lock(v);
	if (memcmp(v->config + off, from, bytes) != 0) {
		memcpy(v->config + off, from, bytes);
		v->generation++;
		if (v->status & VIRTIO_STATUS_DRIVER_OK)
			vpci_interrupt(v, ISR_CONFIG, v->config_vector);
	}
	vpci_unlock(v);
}

/* --- reset --- */

static uint16_t vpci_queue_size(const struct virtio_dev *v, unsigned queue)
{
	return v->ops->few & 1u << queue ? VIRTIO_FEW : VQ_MAX_SIZE;
}

static void finish_reset(struct virtio_dev *v)
{
	if (v->ops->reset)
		v->ops->reset(v);
	for (unsigned i = 0; i < v->ops->nr_queues; i++) {
		vq_reset(&v->queues[i].vq, v->host->ram);
		v->queues[i].vq.size = vpci_queue_size(v, i);
		v->queues[i].vector = NO_VECTOR;
		v->queues[i].enable_asked = false;
	}
	v->driver_features = 0;
	v->feature_select = v->driver_feature_select = 0;
	v->queue_select = 0;
	v->config_vector = NO_VECTOR;
	v->status = 0;
	v->resetting = false;
	atomic_store_explicit(&v->isr, 0, memory_order_relaxed);
}

void virtio_hold(struct virtio_dev *v)
{
	v->in_flight++;
}

void virtio_release(struct virtio_dev *v)
{
	if (--v->in_flight == 0 && v->resetting)
		finish_reset(v);
}

/* --- queues --- */

static bool vpci_running(const struct virtio_dev *v, unsigned queue)
{
	uint8_t need = v->ops->early & 1u << queue ? VIRTIO_STATUS_FEATURES_OK
						   : VIRTIO_STATUS_DRIVER_OK;

	return (v->status & need) && !(v->status & VIRTIO_STATUS_NEEDS_RESET) &&
	       !v->resetting;
}

static void kick_self(struct virtio_queue *q)
{
	/* Fails if the counter is full: the I/O thread is woken anyway. */
	(void)eventfd_write(q->kick.fd, 1);
}

void virtio_again(struct virtio_dev *v, unsigned queue)
{
	kick_self(&v->queues[queue]);
}

/* Return: again at once, after the interrupts that are due. */
static bool serve_locked(struct virtio_dev *v, unsigned n)
{
	struct virtio_queue *q = &v->queues[n];
	enum virtio_served served = SERVED_ALL;

	/* A guest that refills as fast as we serve must not keep the thread. */
	for (unsigned rounds = SERVE_ROUNDS; rounds; rounds--) {
		vq_disarm(&q->vq);
		served = v->ops->serve(v, n);
		if (served != SERVED_ALL || !vpci_running(v, n) ||
		    !vq_arm(&q->vq))
			break;
		served = SERVED_SOME;
	}
	if (served == SERVED_SOME)
		kick_self(q);
	return served == SERVED_SIGNAL;
}

void virtio_serve(struct virtio_dev *v, unsigned queue)
{
	bool again = true;

	for (unsigned rounds = SERVE_ROUNDS; again && rounds; rounds--) {
		uint32_t due;

		again = false;
		vpci_lock(v);
		v->serving = v->ops->late_interrupts;
		if (vpci_running(v, queue) && v->queues[queue].vq.enabled)
			again = serve_locked(v, queue);
		due = take_due(v);
		vpci_unlock(v);
		send_due(v, due);
	}
	if (again)
		virtio_again(v, queue);
}

/*
 * The eventfd is not read: the watch is for edges, of which each write is one, so a
 * write that comes from now on is reported again; and at one per nanosecond its
 * counter lasts for five centuries. What comes while the queue is served is found
 * by vq_arm(), or by serving it once more.
 */
static void vpci_kicked(struct io_watch *w, uint32_t events)
{
	struct virtio_queue *q = container_of(w, struct virtio_queue, kick);

	(void)events;
	virtio_serve(q->dev, (unsigned)(q - q->dev->queues));
}

static bool vpci_in_exit(const struct virtio_dev *v, unsigned queue)
{
	return v->ops->in_exit & 1u << queue;
}

/*
 * A guest's write to the notify register, where no ioeventfd takes it: a queue
 * that is served in the exit, or one whose ioeventfd could not be set.
 */
static void vpci_notified(struct virtio_dev *v, unsigned n)
{
	struct virtio_queue *q = &v->queues[n];
	bool done = false;
	uint32_t due = 0;

	if (vpci_in_exit(v, n) && pthread_mutex_trylock(&v->lock) == 0) {
		if (vpci_running(v, n) && q->vq.enabled) {
			enum virtio_served served;

			q->vq.ram_only = true;
			v->serving = v->ops->late_interrupts;
			vq_disarm(&q->vq);
			served = v->ops->serve(v, n);
			due = take_due(v);
			q->vq.ram_only = false;
			/* Armed: the next one is in the next notification. */
			done = served == SERVED_WAIT ||
			       (served == SERVED_ALL && !vq_arm(&q->vq));
		}
		vpci_unlock(v);
		send_due(v, due);
	}
	if (!done)
		kick_self(q);
}

/* --- common configuration --- */

static void set_status(struct virtio_dev *v, uint8_t s)
{
	if (s == 0) {
		v->resetting = true;
		if (v->in_flight == 0)
			finish_reset(v);
		return;
	}
	if (v->resetting)
		return;
	/* 2.2.2: features outside the offer, or a driver without VERSION_1. */
	if ((s & VIRTIO_STATUS_FEATURES_OK) &&
	    ((v->driver_features & ~v->features) ||
	     !(v->driver_features & VIRTIO_F_VERSION_1)))
		s &= (uint8_t)~VIRTIO_STATUS_FEATURES_OK;
	/*
	 * 2.1.2: a driver clears no bit, but by a reset. Without this one it
	 * could change the features of queues that are enabled.
	 */
	s |= v->status & VIRTIO_STATUS_FEATURES_OK;
	v->status = s | (v->status & VIRTIO_STATUS_NEEDS_RESET);
	if (!(s & VIRTIO_STATUS_DRIVER_OK))
		return;
	for (unsigned i = 0; i < v->ops->nr_queues; i++)
		kick_self(&v->queues[i]);
}

static void enable_queue(struct virtio_dev *v, struct virtio_queue *q)
{
	if (q->vq.enabled || q->enable_asked)
		return;
	q->enable_asked = true;
	q->vq.event_idx = v->driver_features & VIRTIO_F_EVENT_IDX;
	if (vq_enable(&q->vq) < 0)
		virtio_needs_reset(v, q->vq.why);
}

static void set_vector(struct virtio_dev *v, uint16_t *vector, uint16_t n)
{
	*vector = n < v->pci.msix.nr ? n : NO_VECTOR;
}

static void set_half(uint64_t *reg, unsigned off, unsigned len, uint64_t value)
{
	if (len == 8)
		*reg = value;
	else if (off & 4)
		*reg = (*reg & 0xffffffffull) | value << 32;
	else
		*reg = (*reg & ~0xffffffffull) | (value & 0xffffffff);
}

static void queue_write(struct virtio_dev *v, unsigned off, unsigned len,
			uint64_t value)
{
	struct virtio_queue *q;

	if (v->queue_select >= v->ops->nr_queues)
		return;
	q = &v->queues[v->queue_select];
	if (off == COMMON_Q_MSIX) {
		set_vector(v, &q->vector, (uint16_t)value);
		return;
	}
	if (q->vq.enabled)
		return; /* 4.1.4.3.2: not while enabled */
	if (off == COMMON_Q_SIZE)
		q->vq.size = (uint16_t)value;
	else if (off == COMMON_Q_ENABLE && value == 1)
		enable_queue(v, q);
	else if ((off & ~4u) == COMMON_Q_DESC)
		set_half(&q->vq.desc_gpa, off, len, value);
	else if ((off & ~4u) == COMMON_Q_AVAIL)
		set_half(&q->vq.avail_gpa, off, len, value);
	else if ((off & ~4u) == COMMON_Q_USED)
		set_half(&q->vq.used_gpa, off, len, value);
}

static void driver_feature_write(struct virtio_dev *v, uint32_t value)
{
	if (v->driver_feature_select > 1 ||
	    (v->status & VIRTIO_STATUS_FEATURES_OK))
		return;
	set_half(&v->driver_features, v->driver_feature_select * 4, 4, value);
}

static void common_write(struct virtio_dev *v, unsigned off, unsigned len,
			 uint64_t value)
{
	switch (off) {
	case COMMON_DF_SELECT:
		v->feature_select = (uint32_t)value;
		break;
	case COMMON_GF_SELECT:
		v->driver_feature_select = (uint32_t)value;
		break;
	case COMMON_GF:
		driver_feature_write(v, (uint32_t)value);
		break;
	case COMMON_MSIX:
		set_vector(v, &v->config_vector, (uint16_t)value);
		break;
	case COMMON_STATUS:
		set_status(v, (uint8_t)value);
		break;
	case COMMON_Q_SELECT:
		v->queue_select = (uint16_t)value;
		break;
	default:
		queue_write(v, off, len, value);
	}
}

/* The registers as one picture; reads of any width are cut out of it. */
static void common_picture(const struct virtio_dev *v, uint8_t *p)
{
	unsigned sel = v->queue_select;
	uint32_t half = 0;

	memset(p, 0, COMMON_END);
	if (v->feature_select < 2)
		half = (uint32_t)(v->features >> (32 * v->feature_select));
	memcpy(p + COMMON_DF_SELECT, &v->feature_select, 4);
	memcpy(p + COMMON_DF, &half, 4);
	half = 0;
	if (v->driver_feature_select < 2)
		half = (uint32_t)(v->driver_features >>
				  (32 * v->driver_feature_select));
	memcpy(p + COMMON_GF_SELECT, &v->driver_feature_select, 4);
	memcpy(p + COMMON_GF, &half, 4);
	memcpy(p + COMMON_MSIX, &v->config_vector, 2);
	p[COMMON_NUM_QUEUES] = (uint8_t)v->ops->nr_queues;
	p[COMMON_STATUS] = v->status;
	p[COMMON_GENERATION] = v->generation;
	memcpy(p + COMMON_Q_SELECT, &v->queue_select, 2);
	if (sel >= v->ops->nr_queues)
		return; /* size 0: there is no such queue */
	memcpy(p + COMMON_Q_SIZE, &v->queues[sel].vq.size, 2);
	memcpy(p + COMMON_Q_MSIX, &v->queues[sel].vector, 2);
	p[COMMON_Q_ENABLE] = v->queues[sel].vq.enabled;
	memcpy(p + COMMON_Q_NOFF, &sel, 2);
	memcpy(p + COMMON_Q_DESC, &v->queues[sel].vq.desc_gpa, 8);
	memcpy(p + COMMON_Q_AVAIL, &v->queues[sel].vq.avail_gpa, 8);
	memcpy(p + COMMON_Q_USED, &v->queues[sel].vq.used_gpa, 8);
}

static uint64_t common_read(struct virtio_dev *v, uint64_t off, unsigned len)
{
	uint8_t picture[COMMON_END];
	uint64_t value = 0;

	if (!range_fits(off, len, COMMON_END))
		return 0;
	common_picture(v, picture);
	memcpy(&value, picture + off, len);
	return value;
}

/* --- BAR 0 --- */

static uint64_t device_read(const struct virtio_dev *v, uint64_t off,
			    unsigned len)
{
	uint64_t value = 0;

	if (range_fits(off, len, v->config_bytes))
		memcpy(&value, v->config + off, len);
	return value;
}

static uint64_t bar_read(struct pci_dev *d, uint64_t off, unsigned len)
{
	struct virtio_dev *v = from_pci(d);
	uint64_t in_region = off % REGION_BYTES, value = 0;

	switch (off & ~(uint64_t)(REGION_BYTES - 1)) {
	case BAR_COMMON:
		vpci_lock(v);
		value = common_read(v, in_region, len);
		vpci_unlock(v);
		return value;
	case BAR_ISR:
		return in_region ? 0 : atomic_exchange(&v->isr, 0);
	case BAR_DEVICE:
		vpci_lock(v);
		value = device_read(v, in_region, len);
		vpci_unlock(v);
		return value;
	case BAR_MSIX:
		return msix_table_read(&d->msix, in_region, len);
	case BAR_PBA:
		return msix_pba_read(&d->msix, in_region, len);
	default:
		return 0;
	}
}

static void bar_write(struct pci_dev *d, uint64_t off, unsigned len,
		      uint64_t value)
{
	struct virtio_dev *v = from_pci(d);
	uint64_t in_region = off % REGION_BYTES;

	switch (off & ~(uint64_t)(REGION_BYTES - 1)) {
	case BAR_COMMON:
		vpci_lock(v);
		common_write(v, (unsigned)in_region, len, value);
		vpci_unlock(v);
		break;
	case BAR_NOTIFY:
		if (in_region / NOTIFY_STRIDE < v->ops->nr_queues)
			vpci_notified(v, (unsigned)(in_region / NOTIFY_STRIDE));
		break;
	case BAR_MSIX:
		msix_table_write(&d->msix, in_region, len, value);
		break;
	default:
		break;
	}
}

static void bar_moved(struct pci_dev *d, uint64_t base)
{
	struct virtio_dev *v = from_pci(d);
	uint64_t *old = &v->notify_base;

	for (unsigned i = 0; i < v->ops->nr_queues; i++) {
		uint64_t off = BAR_NOTIFY + NOTIFY_STRIDE * i;
		int fd = v->queues[i].kick.fd;

		if (vpci_in_exit(v, i) || v->ops->seldom & 1u << i)
			continue;
		if (*old)
			(void)v->host->ops->ioeventfd(v->host, fd, *old + off,
						      0, false);
		if (base)
			(void)v->host->ops->ioeventfd(v->host, fd, base + off,
						      0, true);
	}
	*old = base;
}

/* --- PCI_CFG window (4.1.4.9): BAR access through configuration space --- */

#define WINDOW_OFFSET 8u
#define WINDOW_LENGTH 12u
#define WINDOW_DATA   16u

static bool window_target(struct pci_dev *d, unsigned off, unsigned len,
			  uint32_t *at, uint32_t *bytes)
{
	unsigned w = from_pci(d)->window;

	if (off < w + WINDOW_DATA || off + len > w + WINDOW_DATA + 4)
		return false;
	memcpy(at, d->config + w + WINDOW_OFFSET, 4);
	memcpy(bytes, d->config + w + WINDOW_LENGTH, 4);
	return d->config[w + 4] == 0 &&
	       (*bytes == 1 || *bytes == 2 || *bytes == 4) &&
	       *at % *bytes == 0 && range_fits(*at, *bytes, BAR_BYTES);
}

static bool vpci_config_read(struct pci_dev *d, unsigned off, unsigned len,
			     uint32_t *value)
{
	uint32_t at, bytes;

	if (!window_target(d, off, len, &at, &bytes))
		return false;
	*value = (uint32_t)bar_read(d, at, bytes);
	return true;
}

static bool vpci_config_write(struct pci_dev *d, unsigned off, unsigned len,
			      uint32_t value)
{
	uint32_t at, bytes;

	if (!window_target(d, off, len, &at, &bytes))
		return false;
	bar_write(d, at, bytes, value & (uint32_t)io_ones(bytes));
	return true;
}

/* --- making one --- */

/* 4.1.4: struct virtio_pci_cap without its first two bytes. */
struct virtio_cap {
	uint8_t cap_len, type, bar, id, padding[2];
	uint32_t offset, length;
	uint32_t extra; /* notify: multiplier; PCI_CFG: data */
} __attribute__((packed));

static int add_cap(struct virtio_dev *v, uint8_t type, uint32_t off,
		   uint32_t bytes, uint32_t extra)
{
	unsigned len = type == CFG_NOTIFY || type == CFG_PCI ? 18 : 14;
	struct virtio_cap cap = { .cap_len = (uint8_t)(len + 2),
				  .type = type,
				  .offset = off,
				  .length = bytes,
				  .extra = extra };

	return pci_add_cap(&v->pci, CAP_VENDOR, &cap, len);
}

static int add_caps(struct virtio_dev *v)
{
	int at;

	if (add_cap(v, CFG_COMMON, BAR_COMMON, COMMON_END, 0) < 0 ||
	    add_cap(v, CFG_ISR, BAR_ISR, 1, 0) < 0 ||
	    add_cap(v, CFG_NOTIFY, BAR_NOTIFY,
		    NOTIFY_STRIDE * v->ops->nr_queues, NOTIFY_STRIDE) < 0 ||
	    add_cap(v, CFG_DEVICE, BAR_DEVICE, VIRTIO_CONFIG_MAX, 0) < 0)
		return -ENOSPC;
	at = add_cap(v, CFG_PCI, 0, 0, 0);
	if (at < 0)
		return at;
	v->window = (unsigned)at;
	v->pci.wmask[at + 4] = 0xff; /* bar */
	memset(v->pci.wmask + at + WINDOW_OFFSET, 0xff, 12);
	return 0;
}

static int init_queue(struct virtio_dev *v, unsigned i)
{
	struct virtio_queue *q = &v->queues[i];

	q->dev = v;
	q->kick.ready = vpci_kicked;
	q->kick.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (q->kick.fd < 0)
		return -errno;
	return v->host->ops->watch(v->host, &q->kick, EPOLLIN | EPOLLET);
}

int virtio_init(struct virtio_dev *v, struct dev_host *host,
		const struct virtio_ops *ops, uint64_t features,
		const void *config, unsigned config_bytes)
{
	static const struct pci_dev_ops pci_ops = {
		.bar_read = bar_read,
		.bar_write = bar_write,
		.bar_moved = bar_moved,
		.config_read = vpci_config_read,
		.config_write = vpci_config_write,
	};
	struct pci_id id = { .vendor = 0x1af4,
			     .device = (uint16_t)(0x1040 + ops->type),
			     .subsystem_vendor = 0x1af4,
			     .subsystem = ops->type,
			     .revision = 1,
			     .class_code = ops->class_code };
	int err;

	memset(v, 0, sizeof(*v));
	pci_dev_init(&v->pci, &id, &pci_ops, BAR_BYTES);
	(void)pthread_mutex_init(&v->lock, NULL);
	v->ops = ops;
	v->host = host;
	v->features = features | VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX |
		      VIRTIO_F_INDIRECT;
	if (config_bytes)
		memcpy(v->config, config, config_bytes);
	v->config_bytes = config_bytes;
	for (unsigned i = 0; i < VIRTIO_MAX_QUEUES; i++)
		v->queues[i].kick.fd = -1;
	err = add_caps(v);
	if (!err)
		err = pci_add_msix(&v->pci, host,
				   ops->nr_vectors ? ops->nr_vectors
						   : ops->nr_queues + 1,
				   BAR_MSIX, BAR_PBA);
	for (unsigned i = 0; !err && i < ops->nr_queues; i++)
		err = init_queue(v, i);
	finish_reset(v);
	return err;
}

void virtio_destroy(struct virtio_dev *v)
{
	if (!v->ops)
		return;
	for (unsigned i = 0; i < v->ops->nr_queues; i++)
		if (v->queues[i].kick.fd >= 0)
			(void)close(v->queues[i].kick.fd);
	pci_dev_destroy(&v->pci);
	(void)pthread_mutex_destroy(&v->lock);
	v->ops = NULL;
}
