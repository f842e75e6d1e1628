/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Makes durable what a guest has written to its region.
 *
 * The pages to be written come from KVM's dirty log of the region's memory slot
 * (struct dax_log). Reading the log clears it and write-protects the pages for
 * the guest; the next write sets a page's bit again. Alternatives that were
 * considered and rejected:
 *  - /proc/self/pagemap reports which pages are private copies, that is, which
 *    were ever written: each flush would read all of it and write all of them;
 *  - soft-dirty bits are cleared for the whole process, including guest RAM;
 *  - userfaultfd's write protection does not support private mappings of files
 *    (Linux 6.1: anonymous, shmem and hugetlb memory only);
 *  - to map a page anew from the COW file after it was written there requires
 *    vCPUs parked and no device writing, or a guest's write is lost.
 * The log requires neither a privilege nor a stopped guest, and costs the guest
 * one fault for each page that it writes between two flushes.
 *
 * A round serves all flushes that wait when it begins:
 *
 *	IDLE --take the log--> WRITING --all pages written--> SYNCING --> IDLE
 *
 *   D1  The log is taken at the beginning of a round and at no other time;
 *       flushes that come later wait for the next round. So every page that a
 *       flush has to cover is in the log of its round, or was written in an
 *       earlier round.
 *   D2  A page is copied to a buffer after its bit was cleared, and the buffer
 *       is written. A write of the guest that races with the copy is in the log
 *       of the next round, and torn or whole in this one (5.19.6 requires
 *       neither).
 *   D3  A page whose write failed gets its bit back. The round fails.
 *   D4  Pages go to the disk by DISK_WRITE, and the round ends with DISK_FLUSH:
 *       I1 to I10 of cow_format.c hold as for any other writer.
 *   D5  Devices write to guest memory without KVM's log: pages that they were
 *       given are dirty in every round from then on.
 *
 * A call does a bounded amount of work (TURN_WRITES) and defers the rest.
 */
#include "cowdisk/dax/dax_internal.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>

#define WORD	    64u
#define TURN_WRITES 32u /* 8 MiB: about 2 ms of copying */

/* --- bits --- */

static uint64_t mask_from(uint64_t page)
{
	return ~0ull << (page % WORD);
}

uint64_t dax_find_bit(const uint64_t *bits, uint64_t page, uint64_t end,
		      bool inverse)
{
	uint64_t flip = inverse ? ~0ull : 0;
	uint64_t word;

	if (page >= end)
		return end;
	word = (bits[page / WORD] ^ flip) & mask_from(page);
	while (!word) {
		page = align_down(page, WORD) + WORD;
		if (page >= end)
			return end;
		word = bits[page / WORD] ^ flip;
	}
	return min_u64(align_down(page, WORD) + (uint64_t)__builtin_ctzll(word),
		       end);
}

void dax_set_bits(uint64_t *bits, uint64_t first, uint64_t nr, bool on)
{
	while (nr) {
		uint64_t part = min_u64(nr, WORD - first % WORD);
		uint64_t mask = mask_from(first);

		if (part < WORD - first % WORD)
			mask &= ~mask_from(first + part);
		if (on)
			bits[first / WORD] |= mask;
		else
			bits[first / WORD] &= ~mask;
		first += part;
		nr -= part;
	}
}

/* --- pages to the disk --- */

static void dax_flush_written(struct disk_req *io, int err)
{
	struct dax_write *w = container_of(io, struct dax_write, io);
	struct dax *d = w->dax;

	if (err) {
		dax_set_bits(d->f.dirty, w->first, w->nr, true);
		d->f.err = err;
	} else {
		d->stats.written_pages += w->nr;
	}
	w->next = d->f.free;
	d->f.free = w;
	d->f.nr_writing--;
	dax_work(d);
}

static void dax_flush_start_write(struct dax *d, uint64_t first, uint64_t nr)
{
	struct dax_write *w = d->f.free;
	uint64_t at = first * PAGE_BYTES;
	uint64_t bytes = min_u64(nr * PAGE_BYTES, d->src.bytes - at);
	int err;

	d->f.free = w->next;
	d->f.nr_writing++;
	w->first = first;
	w->nr = nr;
	/* D2: in this order. */
	dax_set_bits(d->f.dirty, first, nr, false);
	memcpy(w->buf, d->window.hva + at, bytes);
	w->iov = (struct iovec){ w->buf, bytes };
	w->io = (struct disk_req){ .op = DISK_WRITE,
				   .offset = at,
				   .iov = &w->iov,
				   .nr_iov = 1,
				   .done = dax_flush_written };
	err = disk_submit(d->src.disk, &w->io);
	if (err)
		dax_flush_written(&w->io, err);
}

/* Continue in a later turn of the loop, after other work of this thread. */
static void put_off(struct dax *d)
{
	d->f.later = true;
	/* Cannot fail: the counter is far from its end. */
	(void)eventfd_write(d->again_fd, 1);
}

/* Return: true when all dirty pages of this round are on their way. */
static bool dax_flush_write_some(struct dax *d)
{
	struct dax_flusher *f = &d->f;

	for (unsigned budget = TURN_WRITES; f->free; budget--) {
		uint64_t end = d->nr_pages, first, last;

		first = dax_find_bit(f->dirty, f->at, end, false);
		if (first == end || f->err) {
			f->at = end;
			return true;
		}
		if (!budget) {
			put_off(d);
			return false;
		}
		last = dax_find_bit(f->dirty, first,
				    min_u64(end, first + DAX_RUN_PAGES), true);
		f->at = last;
		dax_flush_start_write(d, first, last - first);
	}
	return false;
}

/* --- rounds --- */

static void dax_flush_finish(struct dax *d, int err)
{
	struct dax_reqs over = STAILQ_HEAD_INITIALIZER(over);
	struct dax_req *r;

	/* done() may begin the next round. */
	d->f.phase = DAX_IDLE;
	STAILQ_CONCAT(&over, &d->f.round);
	while ((r = STAILQ_FIRST(&over))) {
		STAILQ_REMOVE_HEAD(&over, link);
		r->done(r, err);
	}
}

static void dax_flush_synced(struct disk_req *io, int err)
{
	struct dax *d = container_of(io, struct dax, f.sync);

	dax_flush_finish(d, err);
	dax_work(d);
}

static void dax_flush_start_sync(struct dax *d)
{
	int err;

	d->f.phase = DAX_SYNCING;
	d->f.sync =
		(struct disk_req){ .op = DISK_FLUSH, .done = dax_flush_synced };
	err = disk_submit(d->src.disk, &d->f.sync);
	if (err)
		dax_flush_synced(&d->f.sync, err);
}

static void dax_flush_begin(struct dax *d)
{
	struct dax_flusher *f = &d->f;

	STAILQ_CONCAT(&f->round, &f->wait);
	f->at = 0;
	f->err = d->log ? d->log->take(d->log, f->dirty) : 0;
	for (uint64_t i = 0; d->any_touched && i < d->bitmap_bytes / 8; i++)
		if (d->touched[i])
			f->dirty[i] |= d->touched[i];
	f->phase = DAX_WRITING;
}

static void dax_flush_advance(struct dax *d)
{
	struct dax_flusher *f = &d->f;

	if (f->phase == DAX_IDLE && !STAILQ_EMPTY(&f->wait))
		dax_flush_begin(d);
	if (f->phase != DAX_WRITING || !dax_flush_write_some(d) ||
	    f->nr_writing)
		return;
	/* Flushes that wait: whoever calls us from a completion calls again. */
	if (f->err)
		dax_flush_finish(d, f->err);
	else
		dax_flush_start_sync(d);
}

/*
 * A loop instead of recursion, because disk_submit() may call done() from
 * inside.
 */
void dax_work(struct dax *d)
{
	struct dax_flusher *f = &d->f;

	if (f->working) {
		f->again = true;
		return;
	}
	f->working = true;
	f->later = false;
	do {
		f->again = false;
		dax_flush_advance(d);
	} while (f->again && !f->later);
	f->working = false;
}

void dax_flush(struct dax *d, struct dax_req *r)
{
	if (!d->src.disk) {
		r->done(r, 0);
		return;
	}
	STAILQ_INSERT_TAIL(&d->f.wait, r, link);
	if (d->f.phase == DAX_IDLE) /* else the end of this round sees it */
		dax_work(d);
}

void dax_ready(struct dax *d)
{
	eventfd_t n;

	if (!d->src.disk)
		return;
	(void)eventfd_read(d->again_fd, &n);
	disk_complete(d->src.disk);
	dax_work(d);
}

static void dax_flush_settled(struct dax_req *r, int err)
{
	struct dax_last *l = container_of(r, struct dax_last, r);

	l->done = true;
	l->err = err;
}

int dax_settle(struct dax *d)
{
	struct dax_last *l = &d->f.last;

	*l = (struct dax_last){ .r.done = dax_flush_settled };
	dax_flush(d, &l->r);
	while (!l->done) {
		struct pollfd p = { .fd = d->epoll_fd, .events = POLLIN };

		(void)poll(&p, 1, 1000);
		dax_ready(d);
	}
	return l->err;
}
