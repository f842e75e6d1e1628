/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/agent/placing/pull.h"

#include <errno.h>
#include <numaif.h>
#include <poll.h>
#include <unistd.h>

#include "disco/clock.h"
#include "disco/pagemap.h"
#include "monitor/agent/placing/batch.h"
#include "numa/bind.h"

#define ENTRIES 512u
#define RETRIES 8u
/*
 * Before each try: twice as long as before the last one, a quarter of a second in
 * all. A page is busy while a disk reads into it, or while the kernel gathers
 * small pages to have a huge one, for example: then it is not even mapped.
 */
#define RETRY_MS     2
#define RETRY_MAX_MS 64
/*
 * Tries of a page that is mapped and of which move_pages(2) knows nothing. Somebody
 * else migrates it, which takes one or two of them; or the kernel's own NUMA
 * balancing has taken its mapping away, in which move_pages(2) finds no page before
 * its owner touches it, who may not do so for long.
 */
#define RETRIES_UNKNOWN 3u
#define AGAIN_MAX	4096u
#define COPY_BYTES	KIB(256)

struct puller {
	const struct agent_req_pull *r;
	struct agent_pulled *out;
	int (*progress)(void *arg, const struct agent_pulled *p);
	void *arg;
	unsigned nr, size; /* of the batch: pages in it, pages that go in */
	unsigned nr_again, tries; /* tries: rounds of those so far */
};

/* One puller at a time: 80 KiB that need not be on a stack. */
static void *pages[BATCH_MAX], *again[AGAIN_MAX];
static int nodes[BATCH_MAX], status[BATCH_MAX];

bool pull_wants(uint64_t entry, uint32_t what)
{
	if (!(entry & PM_PRESENT))
		return false;
	return what & (entry & PM_FILE ? AGENT_FILE : AGENT_ANON);
}

/* A page of a file that somebody migrates now: it is there, but not mapped. */
static bool pull_is_busy(uint64_t entry, uint32_t what)
{
	return (entry & (PM_PRESENT | PM_SWAP | PM_FILE)) ==
		       (PM_SWAP | PM_FILE) &&
	       what & AGENT_FILE;
}

static void pull_later(struct puller *p, void *page)
{
	if (p->nr_again < AGAIN_MAX)
		again[p->nr_again++] = page;
	else
		p->out->failed++;
}

/* Where the pages are: when a page failed, the kernel says of none. */
static int pull_query(const struct puller *p)
{
	if (move_pages((int)p->r->pid, p->nr, pages, NULL, status, 0) < 0)
		return -errno;
	return 0;
}

static void pull_account(struct puller *p)
{
	for (unsigned i = 0; i < p->nr; i++) {
		if (status[i] == p->r->node)
			p->out->pages++;
		else if (status[i] == -EFAULT)
			continue; /* never memory */
		else if (status[i] == -ENOENT && (p->nr_again == AGAIN_MAX ||
						  p->tries == RETRIES_UNKNOWN))
			continue; /* gone, or not to be had */
		else if (status[i] != -EACCES)
			pull_later(p, pages[i]);
		else
			p->out->failed++;
	}
}

static int pull_tell(const struct puller *p)
{
	return p->progress(p->arg, p->out);
}

static int move_batch(struct puller *p)
{
	uint64_t start = clock_now_ns(), took;
	unsigned next;
	long ret;
	int err = 0;

	if (p->nr == 0)
		return 0;
	for (unsigned i = 0; i < p->nr; i++) {
		nodes[i] = p->r->node;
		status[i] = -EBUSY;
	}
	ret = move_pages((int)p->r->pid, p->nr, pages, nodes, status,
			 MPOL_MF_MOVE);
	if (ret < 0)
		err = -errno;
	took = clock_now_ns() - start;
	p->out->batches++;
	p->out->total_ns += took;
	p->out->longest_ns = max_u64(p->out->longest_ns, took);
	stall_hist_note(&p->out->stalls, took);
	next = batch_next(p->nr, took, p->r->bound_ns);
	/* The rest of a range is no reason for small batches from now on. */
	if (p->nr == p->size || next < min_u64(2 * (uint64_t)p->nr, p->size))
		p->size = next;
	/* No memory there, or a page that is busy: not the end. */
	if (ret > 0 || err == -ENOMEM || err == -EBUSY || err == -EAGAIN)
		err = pull_query(p);
	if (err)
		return err;
	pull_account(p);
	p->nr = 0;
	return pull_tell(p);
}

static int pull_add(struct puller *p, void *page)
{
	pages[p->nr++] = page;
	return p->nr < p->size ? 0 : move_batch(p);
}

static int pull_range(struct puller *p, int pagemap,
		      const struct agent_range *range)
{
	uint64_t page = range->start / PAGE_BYTES;
	uint64_t left = range->bytes / PAGE_BYTES;
	uint64_t e[ENTRIES];
	int err;

	while (left) {
		int64_t n =
			pagemap_read(pagemap, page, e, min_u64(left, ENTRIES));

		if (n <= 0) /* 0: its memory is gone, and so is it */
			return n < 0 ? (int)n : -ESRCH;
		for (int64_t i = 0; i < n; i++, page++) {
			if (pull_is_busy(e[i], p->r->what))
				pull_later(p, (void *)(page * PAGE_BYTES));
			if (!pull_wants(e[i], p->r->what))
				continue;
			err = pull_add(p, (void *)(page * PAGE_BYTES));
			if (err)
				return err;
		}
		left -= (uint64_t)n;
		/* Nothing to move for long: others wait. */
		err = pull_tell(p);
		if (err)
			return err;
	}
	return 0;
}

/* One that was busy, or was not there: what is it now? */
static int pull_look_again(struct puller *p, int pagemap, void *page)
{
	uint64_t e;

	if (pagemap_read(pagemap, (uintptr_t)page / PAGE_BYTES, &e, 1) != 1)
		return -ESRCH;
	if (pull_is_busy(e, p->r->what))
		pull_later(p, page);
	return pull_wants(e, p->r->what) ? pull_add(p, page) : 0;
}

static int pull_again(struct puller *p, int pagemap)
{
	int err = 0, wait_ms = RETRY_MS;

	while (p->tries < RETRIES && p->nr_again) {
		static void *list[AGAIN_MAX];
		unsigned nr = p->nr_again;

		(void)poll(NULL, 0, wait_ms);
		if (wait_ms < RETRY_MAX_MS)
			wait_ms *= 2;
		for (unsigned i = 0; i < nr; i++)
			list[i] = again[i];
		p->nr_again = 0;
		p->tries++;
		for (unsigned i = 0; i < nr && !err; i++)
			err = pull_look_again(p, pagemap, list[i]);
		if (!err)
			err = move_batch(p);
		if (err)
			break;
	}
	p->out->failed += p->nr_again;
	return err;
}

int pull(const struct agent_req_pull *r, int pagemap, unsigned *batch,
	 struct agent_pulled *out,
	 int (*progress)(void *arg, const struct agent_pulled *p), void *arg)
{
	struct puller p = { .r = r,
			    .out = out,
			    .progress = progress,
			    .arg = arg,
			    .size = batch && *batch ? *batch : BATCH_FIRST };
	int err = 0;

	*out = (struct agent_pulled){ .pages = 0 };
	for (uint32_t i = 0; i < r->nr_ranges && !err; i++)
		err = pull_range(&p, pagemap, &r->ranges[i]);
	if (!err)
		err = move_batch(&p);
	if (!err)
		err = pull_again(&p, pagemap);
	if (batch)
		*batch = p.size;
	return err;
}

static int pull_copy_run(int from, int to, off_t at, off_t end)
{
	static uint8_t buf[COPY_BYTES];

	while (at < end) {
		size_t want = min_u64((uint64_t)(end - at), sizeof(buf));
		ssize_t n = pread(from, buf, want, at);

		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		n = pwrite(to, buf, (size_t)n, at);
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		at += n;
	}
	return 0;
}

int copy_sparse(int from, int to)
{
	off_t at = 0, end;
	int err;

	while ((at = lseek(from, at, SEEK_DATA)) >= 0) {
		end = lseek(from, at, SEEK_HOLE);
		if (end < 0)
			break;
		err = pull_copy_run(from, to, at, end);
		if (err)
			return err;
		at = end;
	}
	return errno == ENXIO ? 0 : -errno; /* ENXIO: no more data */
}
