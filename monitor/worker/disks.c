/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/worker/disks.h"

/* Mappings of all pmem disks: a quarter of what Linux allows a process. */
#define PMEM_MAPPINGS 16384u

_Static_assert(VM_MAX_DISKS + VM_MAX_SHMS <= RAM_MAX_WINDOWS,
	       "a window per disk and segment");

/* @fd: the disk's first descriptor; moved past its last one. */
static int open_disk(const struct worker_disk *d, unsigned depth, int *fd,
		     struct disk **out)
{
	const char *why = ""; /* control has checked the file: not expected */
	int first = *fd;
	const int fds[DISK_COW_FDS] = {
		[DISK_BASE] = first,
		[DISK_COW] = first + 1,
		[DISK_COW_DIRECT] = d->direct > 0 ? first + 2 : -1,
		[DISK_BASE_DIRECT] = d->direct > 1 ? first + 3 : -1,
	};

	*fd += (int)worker_disk_fds(d);
	if (d->kind == WORKER_DISK_RAW)
		return disk_open(first, d->read_only, depth, out);
	return disk_open_cow(fds, d->kind == WORKER_DISK_TEMP, depth, out,
			     &why);
}

/* For each of them. */
static uint64_t pmem_budget(const struct worker_spec *s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->nr_disks; i++)
		n += s->disks[i].pmem != 0;
	return n ? PMEM_MAPPINGS / n : 0;
}

/* Only what is kept is a disk; the rest is pages of the base. */
static int open_pmem(const struct worker_disk *d, uint64_t budget, int *fd,
		     struct dax **out)
{
	struct dax_source src = { .bytes = d->bytes, .base = *fd, .cow = -1 };
	int err;

	if (d->kind == WORKER_DISK_RAW) {
		*fd += (int)worker_disk_fds(d);
	} else {
		src.cow = src.base + 1;
		err = open_disk(d, DAX_DEPTH, fd, &src.disk);
		if (err)
			return err;
	}
	return dax_create(&src, budget, out);
}

static int add_pmem(struct disks *all, unsigned i, struct cache *cache)
{
	struct vm *vm = all->vm;
	const struct worker_disk *d = &vm->spec->disks[i];
	struct dax *dax;
	int err = open_pmem(d, pmem_budget(vm->spec), &all->next_fd, &dax);

	if (err)
		return err;
	all->daxes[i] = dax;
	err = region_add(&vm->regions, &all->regions[i], dax, d->read_only,
			 d->kind == WORKER_DISK_COW);
	if (err)
		return err;
	if (vm->pager) {
		err = dax_use_cache(dax, cache, i, vm->pager);
		if (err)
			return err;
	}
	err = virtio_pmem_create(&vm->host, dax, &all->pmems[i]);
	if (err)
		return err;
	return pci_add(&vm->pci, &virtio_pmem_dev(all->pmems[i])->pci);
}

/* The base of a disk does not change; a raw one may be written. */
static bool disks_can_cache(const struct worker_disk *d)
{
	return d->kind != WORKER_DISK_RAW || d->read_only;
}

/* A queue a vCPU: none waits for another's lock in the guest. */
static unsigned queues_of(const struct worker_spec *s,
			  const struct worker_disk *d)
{
	if (d->queues)
		return d->queues;
	return (unsigned)min_u64(s->nr_vcpus, DISK_MAX_QUEUES);
}

static int add_blk(struct disks *all, unsigned i, struct cache *cache)
{
	struct vm *vm = all->vm;
	const struct worker_disk *d = &vm->spec->disks[i];
	struct disk *disk;
	int err = open_disk(d, VIRTIO_BLK_DEPTH, &all->next_fd, &disk);

	if (err)
		return err;
	if (cache && disks_can_cache(d)) {
		err = disk_use_cache(disk, cache, i);
		if (err) {
			disk_close(disk);
			return err;
		}
	}
	err = virtio_blk_create(&vm->host, disk, d->bytes, d->read_only,
				d->serial, queues_of(vm->spec, d),
				&all->blks[i]);
	if (err)
		return err;
	err = virtio_blk_limit(all->blks[i], d->iops, d->bps);
	if (err)
		return err;
	return pci_add(&vm->pci, &virtio_blk_dev(all->blks[i])->pci);
}

void disks_init(struct disks *d, struct vm *vm)
{
	*d = (struct disks){ .vm = vm, .next_fd = WORKER_FD_DISK0 };
}

int disks_create(struct disks *d, struct cache *cache)
{
	const struct worker_spec *s = d->vm->spec;

	for (unsigned i = 0; i < s->nr_disks; i++) {
		int err = s->disks[i].pmem ? add_pmem(d, i, cache)
					   : add_blk(d, i, cache);

		if (err)
			return err;
		d->nr = i + 1;
	}
	return 0;
}

bool disks_idle(const struct disks *d)
{
	for (unsigned i = 0; i < d->nr; i++)
		if (d->blks[i] && !virtio_blk_idle(d->blks[i]))
			return false;
	return true;
}

int disks_quiesce(struct disks *d)
{
	vm_park(d->vm, PARK_MOVE);
	vm_hurry(d->vm, true);
	for (unsigned i = 0; i < d->nr; i++) {
		int err = d->blks[i]
				  ? virtio_blk_drain(d->blks[i], DISKS_REST_MS)
				  : 0;

		if (err)
			return err;
	}
	return 0;
}

void disks_resume_vcpus(struct disks *d)
{
	vm_hurry(d->vm, false);
	vm_unpark(d->vm, PARK_MOVE);
}

void disks_go_on(struct disks *d)
{
	for (unsigned i = 0; i < d->nr; i++)
		if (d->blks[i])
			virtio_blk_go_on(d->blks[i]);
}

int disks_settle(struct disks *d)
{
	int err = 0;

	for (unsigned i = 0; i < d->nr; i++) {
		int one = virtio_blk_settle(d->blks[i]);
		int two = virtio_pmem_settle(d->pmems[i]);

		err = err ? err : one ? one : two;
	}
	return err;
}
