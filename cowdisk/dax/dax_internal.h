/* SPDX-License-Identifier: BSD-2-Clause */
/* What dax.c, dax_flush.c and dax_cache.c share. */
#ifndef DISCO_COWDISK_DAX_INTERNAL_H
#define DISCO_COWDISK_DAX_INTERNAL_H

#include "cowdisk/dax/dax.h"

#define DAX_BUFFERS   (DAX_DEPTH - 1u) /* one request is the flush */
#define DAX_RUN_PAGES 64u	       /* pages of one write, at most */

enum dax_phase { DAX_IDLE, DAX_WRITING, DAX_SYNCING };

/* A run of pages on its way to the disk. */
struct dax_write {
	struct disk_req io;
	struct iovec iov;
	struct dax *dax;
	struct dax_write *next; /* free */
	uint64_t first, nr;	/* pages */
	uint8_t *buf;		/* DAX_RUN_PAGES */
};

/* The flush of dax_settle(). */
struct dax_last {
	struct dax_req r;
	bool done;
	int err;
};

struct dax_flusher {
	enum dax_phase phase;
	uint64_t *dirty; /* one bit per page: to be written */
	uint64_t at;	 /* pages before it were handled in this round */
	unsigned nr_writing;
	int err;			     /* of this round */
	STAILQ_HEAD(dax_reqs, dax_req) wait; /* arrived during a round */
	struct dax_reqs round;
	struct dax_write writes[DAX_BUFFERS];
	struct dax_write *free;
	struct disk_req sync;
	struct dax_last last;
	bool working; /* dax_work() is active further up the stack */
	bool again;   /* dax_work() has to continue */
	bool later;   /* dax_work() stopped: dax_ready() continues it */
};

struct dax_cache;

struct dax {
	struct ram_window window;
	struct dax_source src;
	struct dax_log *log;
	uint64_t nr_pages;     /* of the image; the last one may be partial */
	uint64_t bitmap_bytes; /* size of one bitmap of the region */
	uint64_t budget;
	struct dax_stats stats;
	int epoll_fd, again_fd; /* -1: no disk */
	uint8_t *buffers;
	uint64_t *touched; /* one bit per page: a device may write to it */
	bool any_touched;
	struct dax_flusher f;
	struct dax_cache *cached; /* NULL: the base's file is shown */
	void (*uncache)(struct dax *d);
};

/* Map pages of the base's file over pages of the region, privately. */
MUST_CHECK int dax_show_base(struct dax *d, uint64_t first, uint64_t nr);

/* Allocate zeroes; NULL: no memory. Release with munmap(). */
void *dax_lazy_zeroes(uint64_t bytes);

/* Continue the round. */
void dax_work(struct dax *d);

/* Set or clear bits; one bit per page. */
void dax_set_bits(uint64_t *bits, uint64_t first, uint64_t nr, bool on);
/* The first page from @page on whose bit is not @inverse, or @end. */
uint64_t dax_find_bit(const uint64_t *bits, uint64_t page, uint64_t end,
		      bool inverse);

#endif
