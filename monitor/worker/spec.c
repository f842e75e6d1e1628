/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/worker/spec.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static bool terminated(const char *s, size_t size)
{
	return memchr(s, '\0', size) != NULL;
}

static bool boot_sane(const struct boot_layout *b)
{
	if (b->nr_extents > BOOT_MAX_EXTENTS || b->hdr_bytes > BOOT_HDR_MAX)
		return false;
	return b->entry_kind == BOOT_LINUX64 || b->entry_kind == BOOT_PVH;
}

static bool sane(const struct worker_spec *s)
{
	if (!terminated(s->name, sizeof(s->name)) ||
	    !terminated(s->cmdline, sizeof(s->cmdline)))
		return false;
	if (s->nr_vcpus == 0 || s->nr_vcpus > VM_MAX_VCPUS ||
	    s->nr_disks > VM_MAX_DISKS || s->nr_cpus > ARRAY_SIZE(s->cpus))
		return false;
	if (s->ram_bytes < VM_MIN_MEMORY || s->ram_bytes > VM_MAX_MEMORY ||
	    s->ram_bytes % PAGE_BYTES)
		return false;
	for (uint32_t i = 0; i < s->nr_disks; i++)
		if (!terminated(s->disks[i].serial,
				sizeof(s->disks[i].serial)) ||
		    s->disks[i].kind > WORKER_DISK_TEMP ||
		    (s->disks[i].pmem &&
		     s->disks[i].kind == WORKER_DISK_TEMP) ||
		    s->disks[i].queues > DISK_MAX_QUEUES ||
		    s->disks[i].iops > DISK_MAX_IOPS ||
		    s->disks[i].bps > DISK_MAX_BPS)
			return false;
	return boot_sane(&s->boot);
}

int spec_load(int fd, struct worker_spec *s)
{
	ssize_t n = pread(fd, s, sizeof(*s), 0);

	if (n < 0)
		return -errno;
	if (n != (ssize_t)sizeof(*s) || s->magic != WORKER_SPEC_MAGIC ||
	    s->size != sizeof(*s))
		return -EPROTO;
	return sane(s) ? 0 : -EINVAL;
}
