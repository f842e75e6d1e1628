/* SPDX-License-Identifier: BSD-2-Clause */
#include "cowdisk/dax/dax_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cowdisk/disk/cow.h"
#include "numa/read_at.h"

_Static_assert(COW_BLOCK_BYTES == PAGE_BYTES, "a block is a page");

/* --- showing --- */

void *dax_lazy_zeroes(uint64_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* Map pages of a file privately over the region. */
static int dax_show(struct dax *d, uint64_t first, uint64_t nr, int fd,
		    uint64_t offset)
{
	void *at = d->window.hva + first * PAGE_BYTES;

	if (mmap(at, nr * PAGE_BYTES, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, fd,
		 (off_t)offset) == MAP_FAILED)
		return -errno;
	return 0;
}

int dax_show_base(struct dax *d, uint64_t first, uint64_t nr)
{
	return dax_show(d, first, nr, d->src.base, first * PAGE_BYTES);
}

/* Copy bytes of a file into the region; its pages are private copies then. */
static int dax_copy(struct dax *d, uint64_t at, uint64_t bytes, int fd,
		    uint64_t offset)
{
	d->stats.copied_pages += align_up(bytes, PAGE_BYTES) / PAGE_BYTES;
	return read_at(fd, d->window.hva + at, bytes, offset);
}

/* A run in the middle of another mapping splits that mapping in two: + 2. */
static int show_or_copy(struct dax *d, uint64_t first, uint64_t nr, int fd,
			uint64_t offset)
{
	int err = -ENOMEM;

	if (d->stats.mappings + 2 <= d->budget)
		err = dax_show(d, first, nr, fd, offset);
	/* The kernel's own limit, should ours be too high. */
	if (err == -ENOMEM)
		return dax_copy(d, first * PAGE_BYTES, nr * PAGE_BYTES, fd,
				offset);
	if (!err)
		d->stats.mappings += 2;
	return err;
}

static int show_cow(struct dax *d, uint64_t whole)
{
	const struct cow *c = disk_cow(d->src.disk);
	uint64_t data = cow_layout(c)->data_offset;
	int err = 0;

	for (uint64_t b = 0; b < whole && !err;) {
		uint64_t nr = cow_map_run(cow_map(c), b, whole - b);

		if (cow_map_has(cow_map(c), b))
			err = show_or_copy(d, b, nr, d->src.cow,
					   data + b * COW_BLOCK_BYTES);
		b += nr;
	}
	return err;
}

/*
 * The last page, if the image has only a part of it. It is copied, because the
 * rest of it must be zero, whatever the files contain there.
 */
static int copy_tail(struct dax *d, uint64_t whole)
{
	uint64_t at = whole * PAGE_BYTES, bytes = d->src.bytes - at;
	const struct cow *c = d->src.cow < 0 ? NULL : disk_cow(d->src.disk);

	if (!bytes)
		return 0;
	if (c && cow_map_has(cow_map(c), whole))
		return dax_copy(d, at, bytes, d->src.cow,
				cow_layout(c)->data_offset + at);
	return dax_copy(d, at, bytes, d->src.base, at);
}

static int make_region(struct dax *d)
{
	uint64_t whole = d->src.bytes / PAGE_BYTES;
	int err = 0;

	d->window.hva = dax_lazy_zeroes(d->window.bytes);
	if (!d->window.hva)
		return -ENOMEM;
	d->stats.mappings = 2; /* the base and the zeroes after it */
	if (whole)
		err = dax_show_base(d, 0, whole);
	if (!err && d->src.cow >= 0)
		err = show_cow(d, whole);
	return err ? err : copy_tail(d, whole);
}

/* --- flushing: what is needed for it --- */

static void dax_touched(struct ram_window *w, uint64_t offset, uint64_t len)
{
	struct dax *d = container_of(w, struct dax, window);
	uint64_t first = offset / PAGE_BYTES;
	uint64_t end = align_up(offset + len, PAGE_BYTES) / PAGE_BYTES;

	dax_set_bits(d->touched, first, end - first, true);
	d->any_touched = true;
}

static int dax_watch(struct dax *d, int fd)
{
	struct epoll_event e = { .events = EPOLLIN };

	return epoll_ctl(d->epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

static int dax_make_events(struct dax *d)
{
	int disk = disk_event_fd(d->src.disk), err;

	d->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	d->again_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (d->epoll_fd < 0 || d->again_fd < 0)
		return -errno;
	err = dax_watch(d, d->again_fd);
	return err || disk < 0 ? err : dax_watch(d, disk);
}

static int make_flusher(struct dax *d)
{
	struct dax_flusher *f = &d->f;
	uint64_t run = DAX_RUN_PAGES * PAGE_BYTES;
	int err = dax_make_events(d);

	if (err)
		return err;
	f->dirty = dax_lazy_zeroes(d->bitmap_bytes);
	d->buffers = dax_lazy_zeroes(DAX_BUFFERS * run);
	if (!f->dirty || !d->buffers)
		return -ENOMEM;
	for (unsigned i = 0; i < DAX_BUFFERS; i++) {
		f->writes[i].dax = d;
		f->writes[i].buf = d->buffers + i * run;
		f->writes[i].next = f->free;
		f->free = &f->writes[i];
	}
	STAILQ_INIT(&f->wait);
	STAILQ_INIT(&f->round);
	return 0;
}

/* --- life --- */

int dax_create(const struct dax_source *src, uint64_t budget, struct dax **out)
{
	struct dax *d = calloc(1, sizeof(*d));
	int err = 0;

	if (!d)
		return -ENOMEM;
	d->src = *src;
	d->budget = budget;
	d->epoll_fd = d->again_fd = -1;
	d->nr_pages = align_up(src->bytes, PAGE_BYTES) / PAGE_BYTES;
	d->window.bytes = dax_region_bytes(src->bytes);
	d->bitmap_bytes = align_up(d->window.bytes / PAGE_BYTES, 64) / 8;
	d->touched = dax_lazy_zeroes(d->bitmap_bytes);
	d->window.touched = dax_touched;
	if (!d->touched)
		err = -ENOMEM;
	else if (src->disk)
		err = make_flusher(d);
	if (!err)
		err = make_region(d);
	if (err) {
		d->src = (struct dax_source){ .base = -1, .cow = -1 };
		dax_destroy(d);
		return err;
	}
	*out = d;
	return 0;
}

static void dax_unmap(void *p, uint64_t bytes)
{
	if (p)
		(void)munmap(p, bytes);
}

void dax_destroy(struct dax *d)
{
	if (!d)
		return;
	if (d->cached)
		d->uncache(d);
	dax_unmap(d->window.hva, d->window.bytes);
	dax_unmap(d->f.dirty, d->bitmap_bytes);
	dax_unmap(d->touched, d->bitmap_bytes);
	dax_unmap(d->buffers, DAX_BUFFERS * DAX_RUN_PAGES * PAGE_BYTES);
	if (d->again_fd >= 0)
		(void)close(d->again_fd);
	if (d->epoll_fd >= 0)
		(void)close(d->epoll_fd);
	if (!d->src.disk && d->src.base >= 0)
		(void)close(d->src.base);
	disk_close(d->src.disk);
	free(d);
}

struct ram_window *dax_window(struct dax *d)
{
	return &d->window;
}

void dax_set_log(struct dax *d, struct dax_log *log)
{
	d->log = log;
}

int dax_event_fd(const struct dax *d)
{
	return d->epoll_fd;
}

void dax_get_stats(const struct dax *d, struct dax_stats *out)
{
	*out = d->stats;
}
