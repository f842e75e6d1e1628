/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/dev/virtio/virtqueue.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#define DESC_F_NEXT	     1u /* 2.7.5 */
#define DESC_F_WRITE	     2u
#define DESC_F_INDIRECT	     4u
#define AVAIL_F_NO_INTERRUPT 1u /* 2.7.6 */
#define USED_F_NO_NOTIFY     1u /* 2.7.8 */
#define DESC_BYTES	     16u
#define INDIRECT_MAX	     65536u

_Static_assert(sizeof(struct vq_used) == 8, "virtio 2.7.8 layout");
_Static_assert(sizeof(struct vq_desc) == DESC_BYTES, "virtio 2.7.5 layout");

/* A descriptor table: the queue's own, or an indirect one. */
struct desc_table {
	const uint8_t *base;
	uint32_t entries;
};

static uint16_t vq_load16(const uint8_t *p)
{
	return atomic_load_explicit((const _Atomic uint16_t *)(const void *)p,
				    memory_order_relaxed);
}

static void vq_store16(uint8_t *p, uint16_t v)
{
	atomic_store_explicit((_Atomic uint16_t *)(void *)p, v,
			      memory_order_relaxed);
}

/* Ring layouts, virtio 1.2 2.7.6 and 2.7.8. */
static uint8_t *avail_idx(const struct vq *q)
{
	return q->avail + 2;
}

static uint8_t *avail_ring(const struct vq *q, uint16_t i)
{
	return q->avail + 4 + 2u * (i & (q->size - 1u));
}

static uint8_t *avail_used_event(const struct vq *q)
{
	return q->avail + 4 + 2u * q->size;
}

static uint8_t *used_avail_event(const struct vq *q)
{
	return q->used + 4 + 8u * q->size;
}

void vq_reset(struct vq *q, const struct ram_view *ram)
{
	*q = (struct vq){ .ram = ram, .size = VQ_MAX_SIZE };
}

static int vq_refuse(struct vq *q, int err, const char *why)
{
	q->why = why;
	return -err;
}

int vq_enable(struct vq *q)
{
	uint32_t n = q->size;

	if (n == 0 || n > VQ_MAX_SIZE || (n & (n - 1)) != 0)
		return vq_refuse(q, EINVAL, "queue size is not a power of two");
	if (q->desc_gpa % 16 || q->avail_gpa % 2 || q->used_gpa % 4)
		return vq_refuse(q, EINVAL, "ring address is not aligned");
	q->desc = ram_at(q->ram, gpa(q->desc_gpa), DESC_BYTES * n);
	q->avail = ram_at(q->ram, gpa(q->avail_gpa), 6 + 2 * n);
	q->used = ram_at(q->ram, gpa(q->used_gpa), 6 + 8 * n);
	if (!q->desc || !q->avail || !q->used)
		return vq_refuse(q, EINVAL, "ring is not in guest memory");
	q->last_avail = 0;
	q->used_idx = 0;
	q->signalled = 0;
	q->in_flight = 0;
	q->enabled = true;
	return 0;
}

static void read_desc(const struct desc_table *t, uint32_t i, struct vq_desc *d)
{
	memcpy(d, t->base + (size_t)i * DESC_BYTES, DESC_BYTES);
	/* The copy must not be turned into later reloads of guest memory. */
	atomic_signal_fence(memory_order_seq_cst);
}

/* Follow a descriptor with DESC_F_INDIRECT into its table (2.7.5.3). */
static int enter_indirect(struct vq *q, const struct vq_desc *d,
			  struct desc_table *t)
{
	if (t->base != q->desc)
		return vq_refuse(q, EPROTO, "indirect table inside another");
	if (d->flags & DESC_F_NEXT)
		return vq_refuse(q, EPROTO, "indirect descriptor with NEXT");
	if (d->len == 0 || d->len % DESC_BYTES != 0)
		return vq_refuse(q, EPROTO, "indirect table of odd length");
	if (d->len / DESC_BYTES > INDIRECT_MAX)
		return vq_refuse(q, EPROTO, "indirect table too long");
	t->base = ram_at(q->ram, gpa(d->addr), d->len);
	t->entries = d->len / DESC_BYTES;
	if (!t->base)
		return vq_refuse(q, EPROTO,
				 "indirect table not in guest memory");
	return 0;
}

static int add_piece(struct vq *q, struct vq_chain *c, const struct vq_desc *d)
{
	unsigned n = c->nr_out + c->nr_in;
	void *at;

	if (!(d->flags & DESC_F_WRITE) && c->nr_in)
		return vq_refuse(q, EPROTO,
				 "readable piece after a writable one");
	if (d->len == 0)
		return 0;
	if (q->ram_only)
		at = ram_at(q->ram, gpa(d->addr), d->len);
	else
		at = ram_buffer(q->ram, gpa(d->addr), d->len,
				d->flags & DESC_F_WRITE);
	if (!at && q->ram_only)
		return -EAGAIN; /* the I/O thread knows what it is */
	if (!at)
		return vq_refuse(q, EPROTO, "buffer is not in guest memory");
	c->iov[n] = (struct iovec){ .iov_base = at, .iov_len = d->len };
	if (d->flags & DESC_F_WRITE) {
		c->nr_in++;
		c->in_bytes += d->len;
	} else {
		c->nr_out++;
		c->out_bytes += d->len;
	}
	return 0;
}

/*
 * Walk the chain from @head. A loop cannot go on for ever: each step counts,
 * and more steps than VQ_MAX_IOV (or than the table has entries) end it.
 */
static int vq_walk(struct vq *q, uint16_t head, struct vq_chain *c)
{
	struct desc_table t = { q->desc, q->size };
	uint32_t i = head, steps = 0, in_table = 0;
	struct vq_desc d;
	int err;

	for (;;) {
		if (i >= t.entries)
			return vq_refuse(q, EPROTO,
					 "descriptor outside its table");
		if (++steps > VQ_MAX_IOV || ++in_table > t.entries)
			return vq_refuse(q, EPROTO,
					 "chain is a loop or too long");
		read_desc(&t, i, &d);
		if (d.flags & DESC_F_INDIRECT) {
			err = enter_indirect(q, &d, &t);
			if (err)
				return err;
			i = 0;
			in_table = 0;
			continue;
		}
		err = add_piece(q, c, &d);
		if (err)
			return err;
		if (!(d.flags & DESC_F_NEXT))
			return 0;
		i = d.next;
	}
}

/* Chains the driver has made available and we have not taken; or -EPROTO. */
static int vq_pending(struct vq *q)
{
	uint16_t idx = vq_load16(avail_idx(q));
	uint16_t n = (uint16_t)(idx - q->last_avail);

	/* Acquire: the ring entry and descriptors are read after idx. */
	atomic_thread_fence(memory_order_acquire);
	if (n > q->size)
		return vq_refuse(q, EPROTO, "available index jumped");
	return n;
}

int vq_pop(struct vq *q, struct vq_chain *c)
{
	uint16_t head;
	int n, err;

	if (q->why)
		return -EPROTO;
	if (!q->enabled)
		return 0;
	n = vq_pending(q);
	if (n <= 0)
		return n;
	if (q->in_flight >= q->size)
		return vq_refuse(q, EPROTO,
				 "more requests than the queue holds");
	head = vq_load16(avail_ring(q, q->last_avail));
	if (head >= q->size)
		return vq_refuse(q, EPROTO, "chain head outside the queue");
	c->head = head;
	c->nr_out = c->nr_in = 0;
	c->out_bytes = c->in_bytes = 0;
	err = vq_walk(q, head, c);
	if (err == -EAGAIN)
		return 0;
	if (err)
		return err;
	q->last_avail++;
	q->in_flight++;
	return 1;
}

void vq_unpop(struct vq *q)
{
	q->last_avail--;
	q->in_flight--;
}

void vq_push_all(struct vq *q, const struct vq_used *u, unsigned n)
{
	if (!q->enabled)
		return;
	for (unsigned i = 0; i < n; i++) {
		memcpy(q->used + 4 + 8u * (q->used_idx & (q->size - 1u)), &u[i],
		       sizeof(u[i]));
		q->used_idx++;
		q->in_flight--;
	}
	/* Release: the elements are visible before the index that counts. */
	atomic_thread_fence(memory_order_release);
	vq_store16(q->used + 2, q->used_idx);
}

void vq_push(struct vq *q, uint16_t head, uint32_t written)
{
	const struct vq_used u = { head, written };

	vq_push_all(q, &u, 1);
}

bool vq_wants_interrupt(struct vq *q)
{
	uint16_t old = q->signalled, event;

	if (!q->enabled || old == q->used_idx)
		return false;
	/* Full: used->idx is visible before the driver's wish is read. */
	atomic_thread_fence(memory_order_seq_cst);
	q->signalled = q->used_idx;
	if (!q->event_idx)
		return !(vq_load16(q->avail) & AVAIL_F_NO_INTERRUPT);
	event = vq_load16(avail_used_event(q));
	return (uint16_t)(q->used_idx - event - 1) <
	       (uint16_t)(q->used_idx - old);
}

bool vq_arm(struct vq *q)
{
	if (!q->enabled || q->why)
		return false;
	if (q->event_idx)
		vq_store16(used_avail_event(q), q->last_avail);
	else
		vq_store16(q->used, 0);
	/* Full: our wish is visible before the driver's index is read. */
	atomic_thread_fence(memory_order_seq_cst);
	return vq_load16(avail_idx(q)) != q->last_avail;
}

uint16_t vq_offered(const struct vq *q)
{
	if (!q->enabled || q->why)
		return 0;
	return (uint16_t)(vq_load16(avail_idx(q)) - q->used_idx);
}

bool vq_arm_next(struct vq *q, uint16_t offered)
{
	if (!q->enabled || q->why)
		return false;
	if (q->event_idx)
		vq_store16(used_avail_event(q),
			   (uint16_t)(offered + q->used_idx));
	else
		vq_store16(q->used, 0);
	/* Full: our wish is visible before the driver's index is read. */
	atomic_thread_fence(memory_order_seq_cst);
	return vq_offered(q) != offered;
}

void vq_disarm(struct vq *q)
{
	if (q->enabled && !q->event_idx)
		vq_store16(q->used, USED_F_NO_NOTIFY);
}

/* Visit up to @len bytes after @skip; @out copies into the pieces. */
static size_t iov_copy(const struct iovec *iov, unsigned n, size_t skip,
		       uint8_t *buf, size_t len, bool out)
{
	size_t done = 0;

	for (unsigned i = 0; i < n && done < len; i++) {
		size_t part = iov[i].iov_len;
		uint8_t *at = iov[i].iov_base;

		if (skip >= part) {
			skip -= part;
			continue;
		}
		at += skip;
		part = min_u64(part - skip, len - done);
		skip = 0;
		if (out)
			memcpy(at, buf + done, part);
		else
			memcpy(buf + done, at, part);
		done += part;
	}
	return done;
}

size_t iov_read(const struct iovec *iov, unsigned n, size_t skip, void *dst,
		size_t len)
{
	return iov_copy(iov, n, skip, dst, len, false);
}

size_t iov_write(const struct iovec *iov, unsigned n, size_t skip,
		 const void *src, size_t len)
{
	/* iov_copy() only reads the buffer when it copies out. */
	return iov_copy(iov, n, skip, (uint8_t *)(uintptr_t)src, len, true);
}
