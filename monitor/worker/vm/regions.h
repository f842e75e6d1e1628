/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest memory above RAM: the regions of virtio-pmem disks, each a memory
 * slot of KVM's with a log of what vCPUs write where a flush has to know it.
 *
 * Where: from the end of RAM, and not below RAM_HIGH_START, so never over the
 * PCI windows; one after the other, in the order of the disks. A region's
 * length is a multiple of 2 MiB (DAX_ALIGN). It begins at a multiple of 128
 * MiB, Linux's memory section: it would do with 2 MiB as well, but then shares
 * a section's table of pages with RAM or with its neighbour. No memory map
 * names the regions: the device does.
 *
 * Threads: I/O thread.
 */
#ifndef DISCO_MONITOR_REGIONS_H
#define DISCO_MONITOR_REGIONS_H

#include "cowdisk/dax/dax.h"

#define REGION_ALIGN MIB(128)

struct vm_region {
	struct dax_log log;
	int vm_fd;		   /* [I] KVM's; not owned */
	struct ram_window *window; /* [I] */
	unsigned slot;		   /* [I] KVM's number */
	uint32_t flags;		   /* [I] of KVM_SET_USER_MEMORY_REGION */
	uint64_t bitmap_bytes;	   /* [I] */
	uint64_t *taken;	   /* a call's answer */
	uint64_t *kept;		   /* what a slot's log said when it went */
	bool any_kept;
};

/* All of a VM's. */
struct vm_regions {
	int vm_fd;	      /* [I] KVM's; not owned */
	struct ram_view *ram; /* [I] windows are added to it */
	unsigned phys_bits;   /* [I] width of the guest's addresses */
	struct vm_region *list[RAM_MAX_WINDOWS]; /* [I] */
	unsigned nr;				 /* [I] */
};

/**
 * regions_init() - none yet
 * @vm_fd:     KVM's; not owned
 * @ram:       outlives it
 * @phys_bits: width of the guest's physical addresses
 */
void regions_init(struct vm_regions *all, int vm_fd, struct ram_view *ram,
		  unsigned phys_bits);

/**
 * region_place() - where the next region goes
 * @phys_bits: width of the guest's physical addresses
 * @bytes:     its length, not 0
 * @out:       untouched on error
 *
 * Pure. Return: 0; -EADDRNOTAVAIL beyond the width, or there are
 * RAM_MAX_WINDOWS.
 */
MUST_CHECK int region_place(const struct ram_view *view, unsigned phys_bits,
			    uint64_t bytes, uint64_t *out);

/**
 * region_add() - make a region part of the guest's memory
 * @r:         zeroed; outlives the VM
 * @dax:       outlives the VM; its window gets its place
 * @read_only: a vCPU's write does nothing
 * @logged:    flushes of @dax learn what vCPUs write
 *
 * Context: before the first vCPU runs. Return: 0; as region_place(); -ENOMEM;
 * -errno of KVM_SET_USER_MEMORY_REGION.
 */
MUST_CHECK int region_add(struct vm_regions *all, struct vm_region *r,
			  struct dax *dax, bool read_only, bool logged);

/**
 * regions_set() - give all regions' slots to KVM, or take them away
 *
 * What their logs say is kept for the next flush.
 *
 * Context: vCPUs parked. Return: 0; -errno of the ioctls.
 */
MUST_CHECK int regions_set(const struct vm_regions *all, bool there);

#endif
