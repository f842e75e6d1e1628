/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/worker/vm/regions.h"

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define PHYS_BITS_MAX 52

/* --- where --- */

static uint64_t regions_end_of(const struct ram_view *view)
{
	const struct ram_slot *s = &view->slots[view->nr_slots - 1];
	const struct ram_window *w;

	if (!view->nr_windows)
		return max_u64(s->gpa + s->bytes, RAM_HIGH_START);
	w = view->windows[view->nr_windows - 1];
	return w->gpa + w->bytes;
}

int region_place(const struct ram_view *view, unsigned phys_bits,
		 uint64_t bytes, uint64_t *out)
{
	uint64_t limit = 1ull << min_u64(phys_bits, PHYS_BITS_MAX);
	uint64_t at = align_up(regions_end_of(view), PMEM_REGION_ALIGN);

	if (view->nr_windows == RAM_MAX_WINDOWS ||
	    !range_fits(at, bytes, limit))
		return -EADDRNOTAVAIL;
	*out = at;
	return 0;
}

/* --- KVM's slots --- */

static int set_slot(const struct vm_region *r, bool there)
{
	struct kvm_userspace_memory_region m = {
		.slot = r->slot,
		.flags = r->flags,
		.guest_phys_addr = r->window->gpa,
		.memory_size = there ? r->window->bytes : 0,
		.userspace_addr = (uintptr_t)r->window->hva,
	};

	return kvms_set_slot(r->kvms, &m);
}

/* --- what vCPUs have written --- */

static void add_bits(uint64_t *to, const uint64_t *from, uint64_t bytes)
{
	/* Words that are 0 are not written: the pages stay untouched. */
	for (uint64_t i = 0; i < bytes / sizeof(*to); i++)
		if (from[i])
			to[i] |= from[i];
}

/*
 * KVM fills all of a bitmap in, or nothing. The logs of all views but the last
 * are kept, so that no bit is lost if a later one cannot be read.
 */
static int take_slot(struct vm_region *r, uint64_t *bits)
{
	struct kvm_dirty_log l = { .slot = r->slot, .dirty_bitmap = r->taken };
	unsigned last = kvms_count(r->kvms) - 1;

	for (unsigned i = 0; i <= last; i++) {
		if (ioctl(kvms_fd(r->kvms, i), KVM_GET_DIRTY_LOG, &l) < 0)
			return -errno;
		add_bits(i < last ? r->kept : bits, r->taken, r->bitmap_bytes);
		r->any_kept = r->any_kept || i < last;
	}
	return 0;
}

static int regions_take(struct dax_log *log, uint64_t *bits)
{
	struct vm_region *r = container_of(log, struct vm_region, log);
	int err = take_slot(r, bits);

	if (err || !r->any_kept)
		return err;
	add_bits(bits, r->kept, r->bitmap_bytes);
	memset(r->kept, 0, r->bitmap_bytes);
	r->any_kept = false;
	return 0;
}

/* A slot that goes takes its log with it. */
static int keep_log(struct vm_region *r)
{
	if (!(r->flags & KVM_MEM_LOG_DIRTY_PAGES))
		return 0;
	r->any_kept = true;
	return take_slot(r, r->kept);
}

int regions_set(const struct vm_regions *all, bool there)
{
	for (unsigned i = 0; i < all->nr; i++) {
		struct vm_region *r = all->list[i];
		int err;

		if (!there) {
			err = keep_log(r);
			if (err)
				return err;
		}
		err = set_slot(r, there);
		if (err)
			return err;
	}
	return 0;
}

static int make_log(struct vm_region *r)
{
	void *p;

	r->bitmap_bytes = align_up(r->window->bytes / PAGE_BYTES, 64) / 8;
	p = mmap(NULL, 2 * r->bitmap_bytes, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return -errno;
	r->taken = p;
	r->kept = r->taken + r->bitmap_bytes / sizeof(*r->kept);
	r->log.take = regions_take;
	return 0;
}

void regions_init(struct vm_regions *all, const struct kvms *kvms,
		  struct ram_view *ram, unsigned phys_bits)
{
	*all = (struct vm_regions){ .kvms = kvms,
				    .ram = ram,
				    .phys_bits = phys_bits };
}

static int region_init(const struct vm_regions *all, struct vm_region *r,
		       struct ram_window *w)
{
	int err = region_place(all->ram, all->phys_bits, w->bytes, &w->gpa);

	if (err)
		return err;
	r->kvms = all->kvms;
	r->window = w;
	r->slot = RAM_MAX_SLOTS + all->nr;
	return 0;
}

static int region_finish(struct vm_regions *all, struct vm_region *r)
{
	int err = set_slot(r, true);

	if (err)
		return err;
	all->ram->windows[all->ram->nr_windows++] = r->window;
	all->list[all->nr++] = r;
	return 0;
}

int region_add_window(struct vm_regions *all, struct vm_region *r,
		      struct ram_window *w)
{
	int err = region_init(all, r, w);

	return err ? err : region_finish(all, r);
}

int region_add(struct vm_regions *all, struct vm_region *r, struct dax *dax,
	       bool read_only, bool logged)
{
	int err = region_init(all, r, dax_window(dax));

	if (err)
		return err;
	r->flags = (read_only ? KVM_MEM_READONLY : 0) |
		   (logged ? KVM_MEM_LOG_DIRTY_PAGES : 0);
	if (logged) {
		err = make_log(r);
		dax_set_log(dax, &r->log);
		if (err)
			return err;
	}
	return region_finish(all, r);
}
