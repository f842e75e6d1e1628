/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/worker/spec.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "disco/huge.h"
#include "vnet/frame.h"

static bool spec_terminated(const char *s, size_t size)
{
	return memchr(s, '\0', size) != NULL;
}

static bool boot_sane(const struct boot_layout *b)
{
	if (b->nr_extents > BOOT_MAX_EXTENTS || b->hdr_bytes > BOOT_HDR_MAX)
		return false;
	return (unsigned)b->entry_kind <= BOOT_LINUX32;
}

static bool disk_sane(const struct worker_disk *d)
{
	if (!spec_terminated(d->serial, sizeof(d->serial)) ||
	    d->kind > WORKER_DISK_TEMP ||
	    (d->pmem && d->kind == WORKER_DISK_TEMP))
		return false;
	if (d->direct > 2 ||
	    (d->direct && (d->pmem || d->kind == WORKER_DISK_RAW)))
		return false;
	return d->queues <= DISK_MAX_QUEUES && d->iops <= DISK_MAX_IOPS &&
	       d->bps <= DISK_MAX_BPS;
}

static bool net_sane(const struct worker_net *n)
{
	return spec_terminated(n->net, sizeof(n->net)) && n->gen != 0 &&
	       n->bits >= VNET_BITS_MIN && n->bits <= VNET_BITS_MAX &&
	       n->routed <= 1 && n->routed4 <= 1 && n->planned6 <= 1 &&
	       n->queues <= NET_MAX_QUEUES;
}

static bool wide_sane(const struct worker_spec *s)
{
	const struct worker_wide *w = &s->wide;
	uint32_t cpus = 0;

	if (w->nr_nodes == 0)
		return !w->views && !w->copies_bytes;
	if (w->nr_nodes < 2 || w->nr_nodes > MAX_NODES ||
	    w->nr_nodes > s->nr_vcpus || s->strict ||
	    (w->views && w->nr_nodes > VM_MAX_VIEWS) ||
	    (w->copies_bytes && (!w->views || s->reserved)) ||
	    w->copies_bytes % PAGE_BYTES)
		return false;
	for (uint32_t i = 0; i < s->nr_vcpus; i++)
		if (w->vcpu_node[i] >= w->nr_nodes)
			return false;
	for (uint32_t i = 0; i < w->nr_nodes; i++)
		cpus += w->node_cpus[i];
	return cpus <= WORKER_WIDE_CPUS;
}

static bool shm_sane(const struct worker_shm *m)
{
	return spec_terminated(m->name, sizeof(m->name)) &&
	       m->bytes >= SHM_MIN_BYTES && m->bytes <= SHM_MAX_BYTES &&
	       m->bytes % SHM_MIN_BYTES == 0;
}

static bool spec_sane(const struct worker_spec *s)
{
	if (!spec_terminated(s->name, sizeof(s->name)) ||
	    !spec_terminated(s->cmdline, sizeof(s->cmdline)))
		return false;
	if (s->nr_vcpus == 0 || s->nr_vcpus > VM_MAX_VCPUS ||
	    s->nr_disks > VM_MAX_DISKS || s->nr_cpus > ARRAY_SIZE(s->cpus) ||
	    s->nr_nets > VM_MAX_NETS || s->nr_nodes > MAX_NODES ||
	    s->nr_shms > VM_MAX_SHMS)
		return false;
	if (s->ram_bytes < VM_MIN_MEMORY || s->ram_bytes > VM_MAX_MEMORY ||
	    s->ram_bytes % PAGE_BYTES)
		return false;
	if (s->huge > HUGE_OFF || s->huge_given > 1)
		return false;
	for (uint32_t i = 0; i < s->nr_disks; i++)
		if (!disk_sane(&s->disks[i]))
			return false;
	for (uint32_t i = 0; i < s->nr_nets; i++)
		if (!net_sane(&s->nets[i]))
			return false;
	for (uint32_t i = 0; i < s->nr_shms; i++)
		if (!shm_sane(&s->shms[i]))
			return false;
	return wide_sane(s) && boot_sane(&s->boot);
}

int spec_load(int fd, struct worker_spec *s)
{
	ssize_t n = pread(fd, s, sizeof(*s), 0);

	if (n < 0)
		return -errno;
	if (n != (ssize_t)sizeof(*s) || s->magic != WORKER_SPEC_MAGIC ||
	    s->size != sizeof(*s) || s->protocol != WORKER_PROTOCOL)
		return -EPROTO;
	return spec_sane(s) ? 0 : -EINVAL;
}
