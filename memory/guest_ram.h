/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest RAM as one worker maps it: a view.
 *
 * RAM is a memfd of ram_bytes. A view is one mapping of it, plus what is
 * overlaid on that mapping (pmap.h). A guest may have several views (one per
 * node), so nothing here is global, and nothing here knows KVM.
 *
 * Guest physical layout: RAM is at [0, RAM_LOW_END) and [RAM_HIGH_START, ...).
 * The hole between them holds PCI windows, ECAM and the APICs
 * (monitor/dev/platform/layout.h).
 *
 * Above RAM there may be windows: memory that is not RAM, but that the guest
 * may name as a buffer for a device (cowdisk/dax/dax.h).
 *
 * The guest may change its memory at any time. Whoever reads it copies once,
 * checks the copy and uses the copy.
 */
#ifndef DISCO_MEMORY_GUEST_RAM_H
#define DISCO_MEMORY_GUEST_RAM_H

#include "disco/base.h"
#include "disco/limits.h"

#define RAM_LOW_END    GIB(3)
#define RAM_HIGH_START GIB(4)
#define RAM_MAX_SLOTS  2

#define RAM_MAX_WINDOWS 20

/* A run of guest pages, contiguous in the memfd and in the view. */
struct ram_slot {
	uint64_t gpa;
	uint64_t bytes;
	uint64_t offset; /* in both the memfd and the view */
};

/* A range of guest physical memory that is not RAM; see above. */
struct ram_window {
	uint64_t gpa;	/* [I] */
	uint64_t bytes; /* [I] */
	uint8_t *hva;	/* [I] */
	/*
	 * Called before the host writes to a part of the window (vCPUs write
	 * without a call). May be NULL. Context: I/O thread.
	 */
	void (*touched)(struct ram_window *w, uint64_t offset, uint64_t len);
};

struct ram_view {
	int fd;				      /* [I] not owned */
	uint8_t *hva;			      /* [I] start of the mapping */
	uint64_t bytes;			      /* [I] */
	unsigned nr_slots;		      /* [I] */
	struct ram_slot slots[RAM_MAX_SLOTS]; /* [I] ascending */
	unsigned nr_windows;		      /* [I] */
	struct ram_window *windows[RAM_MAX_WINDOWS]; /* [I] ascending */
	/* [I] More mappings of all of it, which vCPUs use: ram_copies.h. */
	unsigned nr_views;
	const uint8_t *views[VM_MAX_VIEWS];
	/*
	 * [I] Called before the host changes RAM in a way that does not fault:
	 * by requests of devices, and by punching holes. NULL: nobody minds.
	 * Context: I/O thread.
	 */
	void (*change)(void *arg, uint64_t offset, uint64_t bytes);
	void *change_arg;
};

/**
 * ram_view_create() - map guest RAM
 * @view:  out; release with ram_view_destroy()
 * @fd:    RAM memfd; not owned, must outlive the view
 * @bytes: size of RAM, a multiple of PAGE_BYTES, not 0
 *
 * Context: start of the worker. Return: 0; -EINVAL bad size; -errno of mmap.
 */
MUST_CHECK int ram_view_create(struct ram_view *view, int fd, uint64_t bytes);
void ram_view_destroy(struct ram_view *view);

/**
 * ram_at() - find where [@at, @at + @len) of guest memory is mapped
 * @len: bytes; with 0 the result must not be dereferenced
 *
 * Context: any thread; lock-free.
 * Return:  the address; NULL unless the whole range lies in one slot.
 */
MUST_CHECK void *ram_at(const struct ram_view *view, gpa_t at, uint64_t len);

/*
 * The inverse of ram_at(). @at: a pointer that ram_at() returned, or one to
 * another byte of that range.
 */
MUST_CHECK gpa_t ram_gpa(const struct ram_view *view, const void *at);

/**
 * ram_buffer() - ram_at() for the data of a request, in RAM or in a window
 * @write: the host is going to write to the range; change() of @view, or its
 *         window's touched(), is called
 *
 * Context: I/O thread. Return: the address; NULL unless the whole range lies in
 * one slot or window.
 */
MUST_CHECK void *ram_buffer(const struct ram_view *view, gpa_t at, uint64_t len,
			    bool write);

/*
 * Copy from and to guest RAM. Context: any thread. Return: 0; -EFAULT if any
 * byte is not RAM.
 */
MUST_CHECK int ram_read(const struct ram_view *view, gpa_t at, void *dst,
			uint64_t len);
MUST_CHECK int ram_write(const struct ram_view *view, gpa_t at, const void *src,
			 uint64_t len);

/**
 * ram_fill() - copy [@off, @off + @bytes) of a file to guest RAM at @at
 *
 * Context: any thread; blocks. Return: 0; -EFAULT not RAM; -EIO the file ends
 * earlier; -errno of pread.
 */
MUST_CHECK int ram_fill(const struct ram_view *view, gpa_t at, uint64_t bytes,
			int fd, uint64_t off);

#endif
