// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From memory to frames: of the calling process, of a file's page cache, of all
 * of the guest.
 *
 * Frames whose contents the host will drop are held until it has done so: a
 * frame that was freed meanwhile may be another page.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/pagevec.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "disco_hints.h"

#define PIN_PAGES   512u
#define BLOCK_ORDER 9u	/* 2 MiB: what the host frees in one step */
#define SPARE_SHARE 16u /* 1/16 of all memory stays free */

bool hints_kind_is_safe(u16 kind)
{
	switch (kind) {
	case HINTS_READ_MOSTLY:
	case HINTS_PRIVATE:
	case HINTS_REWRITE:
	case HINTS_COLD:
	case HINTS_PIN:
	case HINTS_PIN_OFF:
	case HINTS_MERGE:
	case HINTS_FORGET:
		return true;
	default:
		return false;
	}
}

bool hints_kind_discards(u16 kind)
{
	return kind == HINTS_FREE || kind == HINTS_ZERO;
}

/* --- of the calling process --------------------------------------------------- */

/*
 * A page whose contents may go has to be this process's alone: it was pinned for
 * writing, so an anonymous one is; what a file has is left alone.
 */
static bool memory_fits(struct page *page, bool discards)
{
	return discards ? PageAnon(page) : !is_zero_pfn(page_to_pfn(page));
}

static int memory_add(struct hints_run *run, struct page **pages, int nr,
		      bool discards, u64 *done)
{
	int i, err;

	for (i = 0; i < nr; i++) {
		if (memory_fits(pages[i], discards)) {
			err = hints_run_add(run, page_to_pfn(pages[i]), 1);
			if (err)
				return err;
		}
		*done += PAGE_SIZE;
	}
	return 0;
}

/* The next pages that are there; one that is not is left out. */
static int memory_pin_some(struct hints_run *run, struct hints_request *r,
			   struct page **pages)
{
	bool discards = hints_kind_discards(r->kind);
	u64 left = (r->bytes - r->done) >> PAGE_SHIFT;
	int nr, err, end;

	nr = pin_user_pages_fast(
		r->start + r->done, (int)min_t(u64, left, PIN_PAGES),
		FOLL_NOFAULT | (discards ? FOLL_WRITE : 0), pages);
	if (nr <= 0) {
		r->done += PAGE_SIZE;
		return 0;
	}
	err = memory_add(run, pages, nr, discards, &r->done);
	if (discards) {
		end = hints_run_end(run);
		err = err ? err : end;
		end = hints_ring_flush(run->dev, false);
		err = err ? err : end;
		/*
		 * A host that takes no hints may take them later: the pages stay
		 * pinned, as long as the guest runs.
		 */
		if (end)
			return err;
	}
	unpin_user_pages(pages, nr);
	return err;
}

int hints_hint_range(struct hints_device *dev, struct hints_request *r)
{
	struct hints_run *run = kmalloc(sizeof(*run), GFP_KERNEL);
	struct page **pages =
		kmalloc_array(PIN_PAGES, sizeof(*pages), GFP_KERNEL);
	int err = run && pages ? 0 : -ENOMEM, end;

	r->done = 0;
	if (!err)
		hints_run_init(run, dev, r->kind, r->vcpu);
	while (!err && r->done < r->bytes) {
		if (fatal_signal_pending(current))
			err = -EINTR;
		else
			err = memory_pin_some(run, r, pages);
		cond_resched();
	}
	if (run && pages) {
		end = hints_run_end(run);
		err = err ? err : end;
	}
	kfree(pages);
	kfree(run);
	return err;
}

/* --- of a file ------------------------------------------------------------------ */

static int file_add(struct hints_run *run, struct folio *folio, pgoff_t first,
		    pgoff_t last)
{
	pgoff_t from = folio->index, nr = folio_nr_pages(folio);
	pgoff_t skip = first > from ? first - from : 0;
	pgoff_t end = last - from < nr - 1 ? last - from + 1 : nr;

	if (from > last || skip >= end)
		return 0;
	return hints_run_add(run, folio_pfn(folio) + skip, end - skip);
}

static int file_walk(struct hints_run *run, struct address_space *mapping,
		     struct hints_request *r)
{
	pgoff_t first = r->start >> PAGE_SHIFT, next = first;
	pgoff_t last = r->bytes ? first + (r->bytes >> PAGE_SHIFT) - 1
				: ULONG_MAX - 1;
	struct folio_batch batch;
	unsigned int i;
	int err = 0;

	folio_batch_init(&batch);
	while (!err && filemap_get_folios(mapping, &next, last, &batch)) {
		for (i = 0; i < folio_batch_count(&batch) && !err; i++)
			err = file_add(run, batch.folios[i], first, last);
		folio_batch_release(&batch);
		if (!err)
			r->done = ((u64)(next - first)) << PAGE_SHIFT;
		if (fatal_signal_pending(current))
			err = -EINTR;
		cond_resched();
	}
	return err;
}

int hints_hint_file(struct hints_device *dev, struct hints_request *r)
{
	struct file *file = fget(r->fd);
	struct hints_run *run;
	int err = 0, end;

	r->done = 0;
	if (!file)
		return -EBADF;
	run = kmalloc(sizeof(*run), GFP_KERNEL);
	if (!run)
		err = -ENOMEM;
	else if (!(file->f_mode & FMODE_READ))
		err = -EBADF;
	else if (!S_ISREG(file_inode(file)->i_mode))
		err = -EINVAL;
	if (!err) {
		hints_run_init(run, dev, r->kind, HINTS_ANY_VCPU);
		err = file_walk(run, file->f_mapping, r);
		end = hints_run_end(run);
		err = err ? err : end;
	}
	kfree(run);
	fput(file);
	return err;
}

/* --- of all of the guest ---------------------------------------------------------- */

static int bulk_page_tables_of(struct hints_run *run, u64 most, int node)
{
	unsigned long pfn = node_start_pfn(node), end = node_end_pfn(node);
	int err = 0;

	for (; pfn < end && run->pages < most && !err; pfn++) {
		struct page *page = pfn_to_online_page(pfn);

		/* It may become another page: advice, and no contents go. */
		if (page && PageTable(page))
			err = hints_run_add(run, pfn, 1);
		if (!(pfn % 32768)) {
			if (fatal_signal_pending(current))
				return -EINTR;
			cond_resched();
		}
	}
	return err;
}

static int bulk_page_tables(struct hints_run *run, u64 most)
{
	int node, err = 0;

	for_each_online_node(node)
	{
		err = bulk_page_tables_of(run, most, node);
		if (err)
			break;
	}
	return err;
}

/* Free memory beyond what stays with the kernel, in pages. */
static u64 bulk_spare(void)
{
	struct sysinfo si;
	u64 keep;

	si_meminfo(&si);
	keep = si.totalram / SPARE_SHARE;
	return si.freeram > keep ? si.freeram - keep : 0;
}

/* Blocks that nobody has to be asked for: no reclaim, no reserves. */
static int bulk_hold(struct hints_run *run, u64 most, struct list_head *taken)
{
	const gfp_t gfp = (GFP_HIGHUSER & ~__GFP_RECLAIM) | __GFP_NOWARN |
			  __GFP_NORETRY | __GFP_NOMEMALLOC;
	const u64 pages = 1u << BLOCK_ORDER;
	int err = 0;

	while (!err && run->pages + pages <= most && bulk_spare() >= pages) {
		struct page *page = alloc_pages(gfp, BLOCK_ORDER);

		if (!page)
			break;
		list_add(&page->lru, taken);
		err = hints_run_add(run, page_to_pfn(page), pages);
		if (fatal_signal_pending(current))
			err = -EINTR;
		cond_resched();
	}
	return err;
}

static int bulk_give(struct hints_run *run, u64 most)
{
	struct page *page, *next;
	LIST_HEAD(taken);
	int err = bulk_hold(run, most, &taken), end;

	end = hints_run_end(run);
	err = err ? err : end;
	end = hints_ring_flush(run->dev, false);
	if (end) {
		/*
		 * The host may drop these later. They are not given back, so
		 * they are nobody's.
		 */
		pr_warn("disco_hints: %llu free pages are lost: the host takes "
			"no hints\n",
			run->pages);
		return err ? err : end;
	}
	list_for_each_entry_safe(page, next, &taken, lru)
	{
		list_del(&page->lru);
		__free_pages(page, BLOCK_ORDER);
	}
	return err;
}

int hints_hint_bulk(struct hints_device *dev, struct hints_bulk *b)
{
	u64 most = b->most_pages ? b->most_pages : U64_MAX;
	struct hints_run *run = kmalloc(sizeof(*run), GFP_KERNEL);
	int err, end;

	if (!run)
		return -ENOMEM;
	if (b->what == HINTS_BULK_PAGE_TABLES) {
		hints_run_init(run, dev, HINTS_REWRITE, HINTS_ANY_VCPU);
		err = bulk_page_tables(run, most);
	} else {
		hints_run_init(run, dev, HINTS_FREE, HINTS_ANY_VCPU);
		err = bulk_give(run, most);
	}
	end = hints_run_end(run);
	b->pages = run->pages;
	b->entries = run->given;
	kfree(run);
	return err ? err : end;
}
