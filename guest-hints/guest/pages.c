/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From memory of processes and files to frames, by pagemap. A page may have
 * moved to another frame before the host reads the hint: then the hint is of
 * another page, which is harmless for all kinds that keep the contents.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest-hints/guest/internal.h"

#define PM_FRAME   ((1ull << 55) - 1)
#define PM_PRESENT (1ull << 63)
#define BATCH	   512u
#define WINDOW	   (64ull << 20) /* of a file that is mapped at a time */

void hint_run_init(struct hint_run *r, struct disco_hint *h, int kind,
		   unsigned vcpu)
{
	r->h = h;
	r->nr = 0;
	r->pages = 0;
	r->kind = kind;
	r->vcpu = kind == HINTS_PRIVATE ? vcpu : HINTS_ANY_VCPU;
}

int hint_run_end(struct hint_run *r)
{
	unsigned nr = r->nr;

	r->nr = 0;
	return nr ? r->h->backend->push(r->h, r->entries, nr) : 0;
}

int hint_run_add(struct hint_run *r, uint64_t frame, uint64_t frames)
{
	struct hints_entry *last = r->nr ? &r->entries[r->nr - 1] : NULL;

	r->pages += frames;
	while (frames) {
		uint64_t nr = frames < HINTS_MAX_PAGES ? frames
						       : HINTS_MAX_PAGES;
		int err = 0;

		if (last && last->page + last->pages == frame &&
		    last->pages + nr <= HINTS_MAX_PAGES) {
			last->pages += (uint32_t)nr;
		} else {
			if (r->nr == sizeof(r->entries) / sizeof(r->entries[0]))
				err = hint_run_end(r);
			if (err)
				return err;
			last = &r->entries[r->nr++];
			*last = (struct hints_entry){
				.page = frame,
				.pages = (uint32_t)nr,
				.kind = (uint16_t)r->kind,
				.vcpu = (uint16_t)r->vcpu,
			};
		}
		frame += nr;
		frames -= nr;
	}
	return 0;
}

/* Frames of entries of pagemap. Return: 0; -EACCES they are hidden; -errno. */
static int pages_add(struct hint_run *r, const uint64_t *e, size_t nr,
		     uint64_t need, uint64_t never)
{
	for (size_t i = 0; i < nr; i++) {
		int err;

		if ((e[i] & need) != need || e[i] & never)
			continue;
		if (!(e[i] & PM_FRAME))
			return -EACCES;
		err = hint_run_add(r, e[i] & PM_FRAME, 1);
		if (err)
			return err;
	}
	return 0;
}

int hint_pages(struct hint_run *r, int pagemap, uint64_t start, uint64_t bytes,
	       uint64_t need, uint64_t never)
{
	const char *own = "/proc/self/pagemap";
	uint64_t at = start / HINT_PAGE, end = (start + bytes) / HINT_PAGE;
	uint64_t e[BATCH];

	if (pagemap < 0 && r->h->pagemap < 0)
		r->h->pagemap = open(own, O_RDONLY | O_CLOEXEC);
	if (pagemap < 0)
		pagemap = r->h->pagemap;
	if (pagemap < 0)
		return -errno;
	while (at < end) {
		size_t nr = end - at < BATCH ? (size_t)(end - at) : BATCH;
		ssize_t got = pread(pagemap, e, nr * sizeof(e[0]),
				    (off_t)(at * sizeof(e[0])));
		int err;

		if (got <= 0)
			return got < 0 ? -errno : 0; /* end of addresses */
		nr = (size_t)got / sizeof(e[0]);
		err = pages_add(r, e, nr, need | PM_PRESENT, never);
		if (err)
			return err;
		at += nr;
	}
	return 0;
}

int hint_pages_range(struct disco_hint *h, pid_t pid, uint64_t start,
		     uint64_t bytes, int kind, unsigned vcpu)
{
	int pagemap = -1, err, end;
	struct hint_run r;
	char path[64];

	if (pid) {
		(void)snprintf(path, sizeof(path), "/proc/%d/pagemap",
			       (int)pid);
		pagemap = open(path, O_RDONLY | O_CLOEXEC);
		if (pagemap < 0)
			return -errno;
	}
	hint_run_init(&r, h, kind, vcpu);
	err = hint_pages(&r, pagemap, start, bytes, 0, 0);
	end = hint_run_end(&r);
	if (pid)
		(void)close(pagemap);
	return err ? err : end;
}

/* --- files ---------------------------------------------------------------------- */

/*
 * What the page cache has is mapped, without reading anything: a page that went
 * meanwhile is read again, and the end of a file that was cut is an error here,
 * not a signal.
 */
static int file_populate(uint8_t *map, const unsigned char *there, size_t pages)
{
	for (size_t i = 0, n; i < pages; i += n) {
		for (n = 0; i + n < pages && there[i + n] & 1; n++)
			;
		if (n && madvise(map + i * HINT_PAGE, n * HINT_PAGE,
				 MADV_POPULATE_READ) < 0)
			return -errno;
		if (!n)
			n = 1;
	}
	return 0;
}

static int file_window(struct hint_run *r, int fd, uint64_t offset,
		       uint64_t bytes)
{
	size_t pages = (size_t)((bytes + HINT_PAGE - 1) / HINT_PAGE);
	unsigned char *there = malloc(pages);
	void *map;
	int err = 0;

	if (!there)
		return -ENOMEM;
	map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, (off_t)offset);
	if (map == MAP_FAILED) {
		free(there);
		return -errno;
	}
	if (mincore(map, bytes, there) < 0)
		err = -errno;
	if (!err)
		err = file_populate(map, there, pages);
	if (!err)
		err = hint_pages(r, -1, (uint64_t)(uintptr_t)map,
				 pages * HINT_PAGE, 0, 0);
	(void)munmap(map, bytes);
	free(there);
	return err;
}

int hint_pages_file(struct disco_hint *h, int fd, uint64_t offset,
		    uint64_t bytes, int kind)
{
	struct hint_run r;
	struct stat st;
	uint64_t end;
	int err = 0, last;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	end = (uint64_t)st.st_size;
	if (bytes && offset + bytes < end)
		end = offset + bytes;
	offset &= ~(uint64_t)(HINT_PAGE - 1);
	hint_run_init(&r, h, kind, 0);
	for (uint64_t at = offset; at < end && !err; at += WINDOW)
		err = file_window(&r, fd, at,
				  end - at < WINDOW ? end - at : WINDOW);
	last = hint_run_end(&r);
	return err ? err : last;
}
