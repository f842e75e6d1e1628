/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest RAM as one worker sees it: a view.
 *
 * RAM is a memfd of ram_bytes. A view is one mapping of it, plus what is
 * overlaid on that mapping (pmap.h). A guest may have several views (one a
 * node); so nothing here is global, and nothing here knows KVM.
 *
 * Guest physical layout: [0, RAM_LOW_END) and [RAM_HIGH_START, ...); the hole
 * between them holds PCI windows, ECAM and the APICs (monitor/dev/platform/layout.h).
 *
 * Above RAM there may be windows: memory that is no RAM, but that the guest
 * may name as a buffer for a device (cowdisk/dax/dax.h).
 *
 * Guest memory changes under us at any time. Whoever reads it copies once,
 * checks the copy and uses the copy.
 */
#ifndef DISCO_MEMORY_GUEST_RAM_H
#define DISCO_MEMORY_GUEST_RAM_H

#include "disco/base.h"

#define RAM_LOW_END    GIB(3)
#define RAM_HIGH_START GIB(4)
#define RAM_MAX_SLOTS  2

#define RAM_MAX_WINDOWS 16

/* A run of guest pages, contiguous in the memfd and in the view. */
struct ram_slot {
	uint64_t gpa;
	uint64_t bytes;
	uint64_t offset; /* in memfd and view */
};

struct ram_window {
	uint64_t gpa;	/* [I] */
	uint64_t bytes; /* [I] */
	uint8_t *hva;	/* [I] */
	/* Some of it is about to be written, not by a vCPU; may be NULL.
	 * I/O thread. */
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
};

/**
 * ram_view_create() - map guest RAM
 * @view:  out; release with ram_view_destroy()
 * @fd:    RAM memfd, must outlive the view
 * @bytes: size of RAM, a multiple of PAGE_BYTES, not 0
 *
 * Context: start of the worker. Return: 0; -EINVAL bad size; -errno of mmap.
 */
MUST_CHECK int ram_view_create(struct ram_view *view, int fd, uint64_t bytes);
void ram_view_destroy(struct ram_view *view);

/**
 * ram_at() - where [@at, @at + @len) of guest memory is mapped
 * @len: bytes; 0 gives a pointer that must not be dereferenced
 *
 * Context: any thread; lock-free.
 * Return:  NULL unless the whole range lies in one slot.
 */
MUST_CHECK void *ram_at(const struct ram_view *view, gpa_t at, uint64_t len);

/* The way back: @at is what ram_at() returned, or a byte of that range. */
MUST_CHECK gpa_t ram_gpa(const struct ram_view *view, const void *at);

/**
 * ram_buffer() - as ram_at(), for the data of a request: windows count as well
 * @write: the host is going to write there: a window is told
 *
 * Context: I/O thread. Return: NULL unless the whole range lies in one slot
 * or window.
 */
MUST_CHECK void *ram_buffer(const struct ram_view *view, gpa_t at, uint64_t len,
			    bool write);

/* Copy in and out. Return: 0; -EFAULT when any byte is not RAM. */
MUST_CHECK int ram_read(const struct ram_view *view, gpa_t at, void *dst,
			uint64_t len);
MUST_CHECK int ram_write(const struct ram_view *view, gpa_t at, const void *src,
			 uint64_t len);

/**
 * ram_fill() - copy [@off, @off + @bytes) of a file to @at
 * Context: any thread; blocks. Return: 0; -EFAULT not RAM; -EIO the file ends
 * before; -errno of pread.
 */
MUST_CHECK int ram_fill(const struct ram_view *view, gpa_t at, uint64_t bytes,
			int fd, uint64_t off);

#endif
