/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest memory above RAM: the regions of virtio-pmem disks, and then of shared
 * segments. Each is a memory slot of KVM's, the same in all views of a guest,
 * with a log of the pages that vCPUs write if a flush needs it. What vCPUs of
 * several views have written is united.
 *
 * Addresses: regions follow the end of RAM, but are never below RAM_HIGH_START,
 * and so never overlap the PCI windows. They follow each other in the order of
 * the disks. A region's length is a multiple of 2 MiB (DAX_ALIGN). It begins at
 * a multiple of 128 MiB, Linux's memory section. A multiple of 2 MiB would work
 * as well, but then the region would share a section's table of pages with RAM
 * or with its neighbour. No memory map lists the regions: the device does.
 *
 * Context of all functions: I/O thread.
 */
#ifndef DISCO_MONITOR_REGIONS_H
#define DISCO_MONITOR_REGIONS_H

#include "cowdisk/dax/dax.h"
#include "disco/limits.h"
#include "monitor/worker/views/kvms.h"

struct vm_region {
	struct dax_log log;
	const struct kvms *kvms;   /* [I] not owned */
	struct ram_window *window; /* [I] */
	unsigned slot;		   /* [I] KVM's number */
	uint32_t flags;		   /* [I] of KVM_SET_USER_MEMORY_REGION */
	uint64_t bitmap_bytes;	   /* [I] */
	uint64_t *taken;	   /* the result of one KVM_GET_DIRTY_LOG */
	/* Of a slot that was removed, and of views until the last one was read. */
	uint64_t *kept;
	bool any_kept;
};

/* All of a VM's. */
struct vm_regions {
	const struct kvms *kvms; /* [I] not owned */
	struct ram_view *ram;	 /* [I] windows are added to it */
	unsigned phys_bits;	 /* [I] width of the guest's addresses */
	struct vm_region *list[RAM_MAX_WINDOWS]; /* [I] */
	unsigned nr;				 /* [I] */
};

/**
 * regions_init() - none yet
 * @kvms:      of the guest; outlives it
 * @ram:       outlives it
 * @phys_bits: width of the guest's physical addresses
 */
void regions_init(struct vm_regions *all, const struct kvms *kvms,
		  struct ram_view *ram, unsigned phys_bits);

/**
 * region_place() - compute the address of the next region
 * @phys_bits: width of the guest's physical addresses
 * @bytes:     length of the region, not 0
 * @out:       untouched on error
 *
 * Pure. Return: 0; -EADDRNOTAVAIL it would end beyond the width, or there are
 * RAM_MAX_WINDOWS already. Control has checked the former
 * (monitor/control/launch/pmem_fit.h).
 */
MUST_CHECK int region_place(const struct ram_view *view, unsigned phys_bits,
			    uint64_t bytes, uint64_t *out);

/**
 * region_add() - make a region part of the guest's memory
 * @r:         zeroed; outlives the VM
 * @dax:       outlives the VM; the gpa of its window is set
 * @read_only: a vCPU's write has no effect
 * @logged:    flushes of @dax get the pages that vCPUs wrote
 *
 * Context: before the first vCPU runs. Return: 0; errors of region_place();
 * -ENOMEM; -errno of KVM_SET_USER_MEMORY_REGION.
 */
MUST_CHECK int region_add(struct vm_regions *all, struct vm_region *r,
			  struct dax *dax, bool read_only, bool logged);

/**
 * region_add_window() - the same for a window without a disk
 * @w: outlives the VM; its gpa is set
 *
 * Vcpus may write to it. Return: as above.
 */
MUST_CHECK int region_add_window(struct vm_regions *all, struct vm_region *r,
				 struct ram_window *w);

/**
 * regions_set() - set (@there) or remove the KVM slots of all regions
 *
 * The contents of their logs are kept for the next flush.
 *
 * Context: vCPUs parked. Return: 0; -errno of the ioctls.
 */
MUST_CHECK int regions_set(const struct vm_regions *all, bool there);

#endif
