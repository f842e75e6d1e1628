/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory/rebase.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "disco/pagemap.h"

#define BATCH 512u /* entries a read: 4 KiB of stack */

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

struct rebase {
	const struct ram_view *view;
	gpa_t at;
	int fd;
	uint64_t off;
};

bool pagemap_written(uint64_t entry)
{
	if (entry & PM_SWAP)
		return true;
	return (entry & PM_PRESENT) && !(entry & PM_FILE);
}

int pagemap_runs(struct page_run *run, const uint64_t *e, size_t nr,
		 int (*each)(void *arg, const struct page_run *run), void *arg)
{
	for (size_t i = 0; i < nr; i++) {
		bool written = pagemap_written(e[i]);
		int err = 0;

		if (run->nr && written == run->written) {
			run->nr++;
			continue;
		}
		if (run->nr)
			err = each(arg, run);
		if (err)
			return err;
		run->first += run->nr;
		run->nr = 1;
		run->written = written;
	}
	return 0;
}

static int rebase_run(void *arg, const struct page_run *run)
{
	const struct rebase *r = arg;
	uint64_t skip = run->first * PAGE_BYTES, bytes = run->nr * PAGE_BYTES;

	if (run->written)
		return 0;
	if (run->nr >= REBASE_RUN_MIN)
		return ram_overlay(r->view, gpa_add(r->at, skip), bytes, r->fd,
				   r->off + skip);
	if (madvise(ram_at(r->view, gpa_add(r->at, skip), bytes), bytes,
		    MADV_POPULATE_WRITE) < 0)
		return -errno;
	return 0;
}

int ram_rebase(const struct ram_view *view, gpa_t at, uint64_t bytes,
	       int pagemap, int fd, uint64_t off)
{
	struct rebase r = { view, at, fd, off };
	struct page_run run = { .nr = 0 };
	uintptr_t page = (uintptr_t)ram_at(view, at, bytes) / PAGE_BYTES;
	uint64_t left = bytes / PAGE_BYTES;
	uint64_t e[BATCH];
	int err = 0;

	if (!page)
		return -EFAULT;
	if ((at.v | bytes | off) % PAGE_BYTES != 0 || bytes == 0)
		return -EINVAL;
	while (left && !err) {
		uint64_t n = min_u64(left, BATCH);
		ssize_t got = pread(pagemap, e, n * sizeof(e[0]),
				    (off_t)(page * sizeof(e[0])));

		if (got != (ssize_t)(n * sizeof(e[0])))
			return got < 0 ? -errno : -EIO;
		err = pagemap_runs(&run, e, n, rebase_run, &r);
		page += n;
		left -= n;
	}
	return err ? err : rebase_run(&r, &run);
}
