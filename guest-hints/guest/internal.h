/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside libdisco-hint. A handle has one of two backends: the device's BAR,
 * mapped (ring.c), or the kernel module (driver.c). Functions return 0 or more,
 * or a negative errno.
 */
#ifndef DISCO_HINT_INTERNAL_H
#define DISCO_HINT_INTERNAL_H

#include <stdbool.h>

#include "guest-hints/abi/hints_abi.h"
#include "guest-hints/guest/disco_hint.h"

#define HINT_PAGE 4096u

struct disco_hint_backend {
	int (*range)(struct disco_hint *h, pid_t pid, uint64_t start,
		     uint64_t bytes, int kind, unsigned vcpu);
	int (*file)(struct disco_hint *h, int fd, uint64_t offset,
		    uint64_t bytes, int kind);
	/* HINTS_FREE or HINTS_ZERO. Return: pages. */
	int64_t (*discard)(struct disco_hint *h, uint64_t start, uint64_t bytes,
			   int kind);
	int (*phase)(struct disco_hint *h, uint64_t phase, int kind);
	int64_t (*bulk)(struct disco_hint *h, int what, uint64_t pages);
	/* Entries with frames, which contents survive. Waits. Root alone. */
	int (*push)(struct disco_hint *h, const struct hints_entry *e,
		    unsigned nr);
	int (*flush)(struct disco_hint *h);
	/* @at: from HINTS_INFO_AT on. */
	int (*info)(struct disco_hint *h, uint32_t at, void *to, size_t bytes);
};

struct disco_hint {
	const struct disco_hint_backend *backend;
	int fd;	      /* resource0, or the module's device */
	uint8_t *bar; /* ring.c */
	int pagemap;  /* of this process; -1: it was not needed yet */
	char path[128];
};

/* --- open.c --- */

/* Read all of a small file of /proc or /sys. Return: 0; -errno. */
int hint_read_text(const char *path, char *text, size_t size);

/* --- ring.c --- */

extern const struct disco_hint_backend hint_ring_backend;

/* @name: of the device, below /sys/bus/pci/devices. */
int hint_ring_open(struct disco_hint *h, const char *name);

/**
 * hint_ring_push() - give entries to the host
 *
 * Waits while the ring is full. Return: 0; -ETIMEDOUT; -errno of flock(2).
 */
int hint_ring_push(struct disco_hint *h, const struct hints_entry *e,
		   unsigned nr);
int hint_ring_flush(struct disco_hint *h);

/* --- pages.c --- */

/* Entries of one kind, which are pushed when there are enough of them. */
struct hint_run {
	struct disco_hint *h;
	struct hints_entry entries[64];
	unsigned nr;
	uint64_t pages; /* in total */
	int kind;
	unsigned vcpu;
};

void hint_run_init(struct hint_run *r, struct disco_hint *h, int kind,
		   unsigned vcpu);

/* A frame, which is part of the last entry if it is next to it. */
int hint_run_add(struct hint_run *r, uint64_t frame, uint64_t frames);

/* Push what is left. */
int hint_run_end(struct hint_run *r);

/*
 * Frames of the pages of a process that have all of @need and none of @never.
 * @pagemap: -1: of this process.
 */
int hint_pages(struct hint_run *r, int pagemap, uint64_t start, uint64_t bytes,
	       uint64_t need, uint64_t never);

int hint_pages_range(struct disco_hint *h, pid_t pid, uint64_t start,
		     uint64_t bytes, int kind, unsigned vcpu);
int hint_pages_file(struct disco_hint *h, int fd, uint64_t offset,
		    uint64_t bytes, int kind);

/* --- discard.c --- */

int64_t hint_discard(struct disco_hint *h, uint64_t start, uint64_t bytes,
		     int kind);

/* --- bulk.c --- */

int64_t hint_bulk(struct disco_hint *h, int what, uint64_t pages);

int64_t hint_bulk_kernel(struct disco_hint *h);

/* --- driver.c --- */

extern const struct disco_hint_backend hint_driver_backend;
int hint_driver_open(struct disco_hint *h);

#endif
