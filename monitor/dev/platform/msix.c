/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MSI-X table of one device. Each vector is an eventfd that KVM turns into
 * an interrupt (irqfd), so sending costs one write and no lock, neither here nor of
 * KVM's routing table. A route is made when a vector is first usable and changed
 * only when the guest changed address or data: making one is slow (KVM waits
 * for its readers), and Linux rewrites entries while they are masked.
 * Source: PCI Local Bus 3.0, 6.8.2.
 */
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "monitor/dev/platform/msix.h"

#define ENTRY_BYTES 16u
#define ENTRY_MASK  1u /* vector control, bit 0 */

static bool msix_usable(const struct msix *m, const struct msix_vector *v)
{
	return m->enabled && !m->all_masked && !v->masked;
}

/*
 * Make the route current. @m->lock held. Return: true: what waited is to be sent, by
 * msix_signal().
 */
static bool msix_settle(struct msix *m, struct msix_vector *v)
{
	bool send = v->pending, usable = msix_usable(m, v);

	if (usable && !v->routed)
		v->routed = m->host->ops->msi_route(m->host, v->fd, &v->gsi,
						    v->addr, v->data) == 0;
	atomic_store_explicit(&v->direct, usable && v->routed,
			      memory_order_relaxed);
	if (!usable || !v->routed)
		return false;
	v->pending = false;
	return send;
}

static void msix_signal(const struct msix_vector *v)
{
	/* Fails if the counter is full: it is pending anyway. */
	(void)eventfd_write(v->fd, 1);
}

void msix_send(struct msix *m, unsigned n)
{
	struct msix_vector *v;
	bool send;

	if (n >= m->nr)
		return;
	v = &m->v[n];
	if (atomic_load_explicit(&v->direct, memory_order_relaxed)) {
		msix_signal(v);
		return;
	}
	(void)pthread_mutex_lock(&m->lock);
	v->pending = true;
	send = msix_settle(m, v);
	(void)pthread_mutex_unlock(&m->lock);
	if (send)
		msix_signal(v);
}

static uint32_t entry_word(const struct msix_vector *v, unsigned word)
{
	switch (word) {
	case 0:
		return (uint32_t)v->addr;
	case 1:
		return (uint32_t)(v->addr >> 32);
	case 2:
		return v->data;
	default:
		return v->masked ? ENTRY_MASK : 0;
	}
}

uint64_t msix_table_read(struct msix *m, uint64_t off, unsigned len)
{
	uint64_t value = 0;

	if (len < 4 || off % 4 || off / ENTRY_BYTES >= m->nr)
		return 0;
	(void)pthread_mutex_lock(&m->lock);
	for (unsigned i = 0; i < 2 && i < len / 4; i++) {
		const struct msix_vector *v = &m->v[off / ENTRY_BYTES];
		unsigned word = (unsigned)(off % ENTRY_BYTES / 4) + i;

		if (word < 4)
			value |= (uint64_t)entry_word(v, word) << (32 * i);
	}
	(void)pthread_mutex_unlock(&m->lock);
	return value;
}

static void set_entry_word(struct msix_vector *v, unsigned word, uint32_t w)
{
	uint32_t before = entry_word(v, word);

	switch (word) {
	case 0:
		v->addr = (v->addr & ~0xffffffffull) | w;
		break;
	case 1:
		v->addr = (v->addr & 0xffffffffull) | (uint64_t)w << 32;
		break;
	case 2:
		v->data = w;
		break;
	default:
		v->masked = w & ENTRY_MASK;
		return;
	}
	if (before != w)
		v->routed = false;
}

void msix_table_write(struct msix *m, uint64_t off, unsigned len,
		      uint64_t value)
{
	struct msix_vector *v;

	if (len < 4 || off % 4 || off / ENTRY_BYTES >= m->nr)
		return;
	(void)pthread_mutex_lock(&m->lock);
	v = &m->v[off / ENTRY_BYTES];
	for (unsigned i = 0; i < 2 && i < len / 4; i++) {
		unsigned word = (unsigned)(off % ENTRY_BYTES / 4) + i;

		if (word < 4)
			set_entry_word(v, word, (uint32_t)(value >> (32 * i)));
	}
	if (msix_settle(m, v))
		msix_signal(v);
	(void)pthread_mutex_unlock(&m->lock);
}

uint64_t msix_pba_read(struct msix *m, uint64_t off, unsigned len)
{
	uint64_t bits = 0;

	(void)pthread_mutex_lock(&m->lock);
	for (unsigned i = 0; i < m->nr; i++)
		bits |= (uint64_t)m->v[i].pending << i;
	(void)pthread_mutex_unlock(&m->lock);
	return off < 8 && len <= 8 - off ? bits >> (8 * off) : 0;
}

void msix_control(struct msix *m, uint16_t control)
{
	(void)pthread_mutex_lock(&m->lock);
	m->enabled = control & 0x8000;
	m->all_masked = control & 0x4000;
	for (unsigned i = 0; i < m->nr; i++)
		if (msix_settle(m, &m->v[i]))
			msix_signal(&m->v[i]);
	(void)pthread_mutex_unlock(&m->lock);
}

void msix_init(struct msix *m)
{
	*m = (struct msix){ .nr = 0 };
	(void)pthread_mutex_init(&m->lock, NULL);
}

int msix_add_vectors(struct msix *m, struct dev_host *host, unsigned nr)
{
	if (nr == 0 || nr > MSIX_MAX)
		return -ENOSPC;
	m->host = host;
	for (unsigned i = 0; i < nr; i++) {
		m->v[i].masked = true;
		m->v[i].fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (m->v[i].fd < 0)
			return -errno;
		m->nr = i + 1;
	}
	return 0;
}

void msix_close(struct msix *m)
{
	for (unsigned i = 0; i < m->nr; i++)
		(void)close(m->v[i].fd);
	m->nr = 0;
}
