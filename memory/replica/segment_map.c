/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory/replica/segment_map.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memory/uffd.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* Linux 5.14 */
#endif
#ifndef UFFD_FEATURE_WP_HUGETLBFS_SHMEM
#define UFFD_FEATURE_WP_HUGETLBFS_SHMEM (1 << 12) /* Linux 5.19 */
#endif

#define FEATURES     (UFFD_FEATURE_WP_HUGETLBFS_SHMEM | UFFD_FEATURE_EVENT_REMAP)
#define BUSY_POLL_MS 1

/* Return: a descriptor; -errno. */
static int open_guard(void)
{
	const char *how;
	uint64_t have;
	int err, fd = uffd_open(O_CLOEXEC, &how);

	if (fd < 0)
		return fd;
	err = how ? uffd_enable(fd, FEATURES, &have) : -ENOTSUP;
	if (!err)
		return fd;
	(void)close(fd);
	return err == -EINVAL ? -ENOTSUP : err;
}

int segment_map_probe(void)
{
	int fd = open_guard();

	if (fd < 0)
		return fd;
	(void)close(fd);
	return 0;
}

/* --- protection --- */

static int guard_register(const struct segment_map *m, void *at, uint64_t bytes)
{
	struct uffdio_register r = { .range = { (uintptr_t)at, bytes },
				     .mode = UFFDIO_REGISTER_MODE_WP };

	return ioctl(m->uffd, UFFDIO_REGISTER, &r) < 0 ? -errno : 0;
}

/* EAGAIN: another thread's mremap(2) waits for its event to be read. */
static int guard_set(const struct segment_map *m, void *at, uint64_t bytes,
		     bool protect)
{
	struct uffdio_writeprotect w = {
		.range = { (uintptr_t)at, bytes },
		.mode = protect ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	while (ioctl(m->uffd, UFFDIO_WRITEPROTECT, &w) < 0)
		if (errno != EAGAIN)
			return -errno;
	return 0;
}

/* Linux 6.1 wants a range within one mapping: halves are, sooner or later. */
static int guard_range(const struct segment_map *m, uint32_t first, uint32_t nr,
		       bool protect)
{
	uint32_t half = nr / 2;
	int err = guard_set(m, m->base + (uint64_t)first * PAGE_BYTES,
			    (uint64_t)nr * PAGE_BYTES, protect);

	if (err != -ENOENT || nr == 1)
		return err;
	err = guard_range(m, first, half, protect);
	return err ? err : guard_range(m, first + half, nr - half, protect);
}

static bool busy_in(const struct segment_map *m, uint32_t first, uint32_t nr)
{
	if (!atomic_load(&m->any_busy))
		return false;
	for (uint32_t p = first; p < first + nr; p++)
		if (atomic_load(&m->busy[p / 64]) >> (p % 64) & 1)
			return true;
	return false;
}

int segment_map_protect(struct segment_map *m, uint32_t first, uint32_t nr)
{
	int err = guard_range(m, first, nr, true);

	if (err)
		return err;
	atomic_thread_fence(memory_order_seq_cst);
	/* All of it: a reset, which waits for what cannot take long. */
	while (nr > 1 && busy_in(m, first, nr))
		(void)poll(NULL, 0, BUSY_POLL_MS);
	if (nr > 1 || !busy_in(m, first, nr))
		return 0;
	(void)guard_range(m, first, nr, false);
	return -EBUSY;
}

void segment_map_allow(struct segment_map *m, uint32_t first, uint32_t nr)
{
	/* Cannot fail for a range that is registered. */
	(void)guard_range(m, first, nr, false);
}

/* --- replacement --- */

static bool is_shown(const struct segment_map *m, uint32_t page)
{
	return (uint64_t)page * PAGE_BYTES < m->bytes &&
	       (m->shown[page / 64] >> (page % 64) & 1);
}

/* How many runs there are more when @page is shown, too. */
static int runs_more(const struct segment_map *m, uint32_t page)
{
	return 1 - (page && is_shown(m, page - 1)) - is_shown(m, page + 1);
}

/* A mapping of these pages of @fd, protected, goes to their place. */
static int put_pages(struct segment_map *m, const struct holder_range *pages,
		     int fd, int flags)
{
	uint64_t offset = (uint64_t)pages->first * PAGE_BYTES;
	uint64_t bytes = (uint64_t)pages->nr * PAGE_BYTES;
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, fd,
			(off_t)offset);
	int err;

	if (at == MAP_FAILED)
		return -errno;
	/* A mapping like its neighbours becomes one with them. */
	if (m->huge && flags == MAP_SHARED)
		(void)madvise(at, bytes, MADV_HUGEPAGE);
	err = guard_register(m, at, bytes);
	if (!err && madvise(at, bytes, MADV_POPULATE_READ) < 0)
		err = -errno;
	if (!err)
		err = guard_set(m, at, bytes, true);
	if (!err && mremap(at, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED,
			   m->base + offset) == MAP_FAILED)
		err = -errno;
	if (err)
		(void)munmap(at, bytes);
	return err;
}

int segment_map_show(struct segment_map *m, uint32_t page)
{
	const struct holder_range one = { page, 1 };
	int more = runs_more(m, page), err;

	if (m->replica_fd < 0)
		return -EBADF;
	if (more > 0 && m->nr_runs >= m->max_runs)
		return -ENOSPC;
	err = put_pages(m, &one, m->replica_fd, MAP_PRIVATE);
	if (!err)
		m->nr_runs += (uint32_t)more;
	return err;
}

/* The shorter end of the run that @page is in, with it. */
static struct holder_range run_end(const struct segment_map *m, uint32_t page)
{
	uint32_t nr = 1;

	while (nr <= page && is_shown(m, page - nr) && is_shown(m, page + nr))
		nr++;
	return nr <= page && is_shown(m, page - nr)
		       ? (struct holder_range){ page, nr }
		       : (struct holder_range){ page + 1 - nr, nr };
}

/*
 * Who writes here and there to what was read from end to end makes runs of single
 * pages of it. There would be more mappings than a process may have, and the last
 * mremap(2) would fail: another guest could end this one by that.
 */
int segment_map_hide(struct segment_map *m, uint32_t page,
		     struct holder_range *hidden)
{
	bool middle = runs_more(m, page) < 0;
	struct holder_range r = { page, 1 };
	int err;

	if (middle && m->nr_runs >= m->max_runs)
		r = run_end(m, page);
	err = put_pages(m, &r, m->segment_fd, MAP_SHARED);
	if (err)
		return err;
	m->nr_runs += (uint32_t)((r.first && is_shown(m, r.first - 1)) +
				 is_shown(m, r.first + r.nr) - 1);
	*hidden = r;
	return 0;
}

void segment_map_set_replicas(struct segment_map *m, int fd)
{
	if (m->replica_fd >= 0)
		(void)close(m->replica_fd);
	m->replica_fd = fd;
}

/* --- faults --- */

int segment_map_wait(struct segment_map *m, uint64_t *page)
{
	struct uffd_msg e;

	for (;;) {
		ssize_t n = read(m->uffd, &e, sizeof(e));

		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
		/* That a page was moved is known; reading it was the point. */
		if (n != (ssize_t)sizeof(e) || e.event != UFFD_EVENT_PAGEFAULT)
			continue;
		/* Below the view: a page that is being prepared. Never. */
		*page = (e.arg.pagefault.address - (uintptr_t)m->base) /
			PAGE_BYTES;
		return 0;
	}
}

/* --- devices --- */

static void busy_mark(struct segment_map *m, uint64_t word, uint64_t bits)
{
	if (atomic_fetch_or(&m->busy[word], bits))
		return;
	if (m->nr_busy < SEGMENT_MAP_BUSY)
		m->busy_words[m->nr_busy] = word;
	m->nr_busy++;
	m->busy_first = min_u64(m->busy_first, word);
	m->busy_end = max_u64(m->busy_end, word + 1);
}

void segment_map_busy(struct segment_map *m, uint64_t offset, uint64_t len)
{
	uint64_t page = offset / PAGE_BYTES, next;
	uint64_t end = (offset + len + PAGE_BYTES - 1) / PAGE_BYTES;

	if (m->uffd < 0 || page >= end)
		return;
	for (; page < end; page = next) {
		next = min_u64((page / 64 + 1) * 64, end);
		busy_mark(m, page / 64,
			  UINT64_MAX >> (64 - (next - page)) << page % 64);
	}
	atomic_store(&m->any_busy, 1);
}

/* Each time that no disk does anything: not in proportion to the segment. */
void segment_map_idle(struct segment_map *m)
{
	if (m->uffd < 0 || !atomic_load(&m->any_busy))
		return;
	for (uint64_t i = 0; i < min_u64(m->nr_busy, SEGMENT_MAP_BUSY); i++)
		atomic_store(&m->busy[m->busy_words[i]], 0);
	for (uint64_t w = m->busy_first;
	     m->nr_busy > SEGMENT_MAP_BUSY && w < m->busy_end; w++)
		if (atomic_load_explicit(&m->busy[w], memory_order_relaxed))
			atomic_store(&m->busy[w], 0);
	m->nr_busy = 0;
	m->busy_first = UINT64_MAX;
	m->busy_end = 0;
	atomic_store(&m->any_busy, 0);
}

void segment_map_cut(struct segment_map *m)
{
	struct uffdio_range all = { (uintptr_t)m->base, m->bytes };

	if (m->uffd < 0)
		return;
	/*
	 * Not registered: a thread that is woken finds a page it may write; or,
	 * where there is no room for that mapping, none, and ends the process.
	 */
	if (mmap(m->base, m->bytes, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, m->segment_fd,
		 0) == MAP_FAILED &&
	    munmap(m->base, m->bytes) < 0)
		return;
	(void)ioctl(m->uffd, UFFDIO_WAKE, &all);
}

/* --- all of it --- */

static int guard_create(struct segment_map *m)
{
	uint64_t pages = m->bytes / PAGE_BYTES;
	size_t words = HOLDER_WORDS(pages);

	if (m->bytes > SEGMENT_MAP_MAX_BYTES)
		return -EFBIG;
	m->uffd = open_guard();
	if (m->uffd < 0)
		return m->uffd;
	m->shown = calloc(words, sizeof(*m->shown));
	m->waiting = calloc(words, sizeof(*m->waiting));
	m->busy = calloc(words, sizeof(*m->busy));
	if (!m->shown || !m->waiting || !m->busy)
		return -ENOMEM;
	return guard_register(m, m->base, m->bytes);
}

static int guard_create_protected(struct segment_map *m)
{
	int err = guard_create(m);

	return err ? err : guard_set(m, m->base, m->bytes, true);
}

static struct segment_map segment_map_of(int fd, uint64_t bytes)
{
	return (struct segment_map){ .bytes = bytes,
				     .segment_fd = fd,
				     .uffd = -1,
				     .replica_fd = -1,
				     .max_runs = SEGMENT_MAP_RUNS,
				     .busy_first = UINT64_MAX };
}

int segment_map_create(struct segment_map *out, int fd, uint64_t bytes,
		       bool guarded)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	*out = segment_map_of(fd, bytes);
	if (at == MAP_FAILED)
		return -errno;
	out->base = at;
	out->owned = true;
	return guarded ? guard_create_protected(out) : 0;
}

int segment_map_open(struct segment_map *out, int fd, uint64_t bytes,
		     uint8_t *base, bool huge)
{
	int err = 0;

	*out = segment_map_of(fd, bytes);
	if (!base)
		err = segment_map_create(out, fd, bytes, false);
	else
		out->base = base;
	if (err)
		return err;
	out->huge = huge;
	if (huge)
		(void)madvise(out->base, bytes, MADV_HUGEPAGE);
	return guard_create(out);
}

void segment_map_destroy(struct segment_map *m)
{
	if (!m->base)
		return;
	if (m->owned)
		(void)munmap(m->base, m->bytes);
	if (m->uffd >= 0)
		(void)close(m->uffd);
	segment_map_set_replicas(m, -1);
	free(m->shown);
	free(m->waiting);
	free(m->busy);
	m->base = NULL;
}
