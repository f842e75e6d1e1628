/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MSI-X table of one device. Each vector is an eventfd that KVM turns into
 * an interrupt (irqfd), so sending costs one write and no lock of KVM's
 * routing table. A route is made when a vector is first usable and changed
 * only when the guest changed address or data: making one is slow (KVM waits
 * for its readers), and Linux rewrites entries while they are masked.
 * Source: PCI Local Bus 3.0, 6.8.2.
 */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "monitor/dev/platform/msix.h"

#define ENTRY_BYTES 16u
#define ENTRY_MASK  1u /* vector control, bit 0 */
#define CAP_MSIX    0x11

static void msix_fire(struct msix_vector *v)
{
	uint64_t one = 1;

	/* Can only fail when the counter is full: it is pending anyway. */
	if (write(v->fd, &one, sizeof(one)) < 0)
		return;
}

static bool msix_usable(const struct msix *m, const struct msix_vector *v)
{
	return m->enabled && !m->all_masked && !v->masked;
}

/* Make the route current and send what waited. @m->lock held. */
static void msix_settle(struct msix *m, struct msix_vector *v)
{
	if (!msix_usable(m, v))
		return;
	if (!v->routed) {
		if (m->host->ops->msi_route(m->host, v->fd, &v->gsi, v->addr,
					    v->data) < 0)
			return;
		v->routed = true;
	}
	if (v->pending) {
		v->pending = false;
		msix_fire(v);
	}
}

void msix_send(struct msix *m, unsigned n)
{
	if (n >= m->nr)
		return;
	(void)pthread_mutex_lock(&m->lock);
	m->v[n].pending = true;
	msix_settle(m, &m->v[n]);
	(void)pthread_mutex_unlock(&m->lock);
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
	msix_settle(m, v);
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
		msix_settle(m, &m->v[i]);
	(void)pthread_mutex_unlock(&m->lock);
}

int pci_add_msix(struct pci_dev *d, struct dev_host *host, unsigned nr,
		 uint32_t table, uint32_t pba)
{
	struct {
		uint16_t control;
		uint32_t table, pba; /* low 3 bits: BAR 0 */
	} __attribute__((packed)) body = { (uint16_t)(nr - 1), table, pba };
	int cap;

	if (nr == 0 || nr > PCI_MSIX_MAX)
		return -ENOSPC;
	cap = pci_add_cap(d, CAP_MSIX, &body, sizeof(body));
	if (cap < 0)
		return cap;
	d->msix_cap = (unsigned)cap;
	d->wmask[cap + 3] = 0xc0; /* enable, function mask */
	d->msix.host = host;
	for (unsigned i = 0; i < nr; i++) {
		d->msix.v[i].masked = true;
		d->msix.v[i].fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (d->msix.v[i].fd < 0)
			return -errno;
		d->msix.nr = i + 1;
	}
	return 0;
}
