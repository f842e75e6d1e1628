/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames are looked up by slices: all of the VM's, over and over, with a rest
 * between two rounds that is SCAN_REST times as long as a round has taken; and
 * those of pages that were moved, at once. All times are of placed_machine's
 * clock, but for the time of a round, which is this thread's work. What a record
 * says of a page that changed its frame since is wrong for that long, and such a
 * record is one of many. A page that was touched since is unknown for that long:
 * it is where it was touched.
 *
 * A guest with copies of pages for its views has its RAM mapped several times, and
 * no mapping has all pages that are there. So pages are looked up in all of them,
 * and what is shown over RAM, a copy, is left out: accesses to copies are nobody's.
 */
#include <sched.h>

#include "disco/clock.h"
#include "disco/pagemap.h"
#include "memory/placement/frames.h"
#include "monitor/agent/placing/placed_internal.h"
#include "monitor/agent/placing/pull.h"

#define SCAN_ENTRIES 512u
#define SCAN_NS	     5000000ull	  /* of a turn */
#define SCAN_REST    50u	  /* 2 % of a CPU */
#define SCAN_SOON_NS 100000000ull /* shortest rest */
#define FRAME_BITS   ((1ull << 55) - 1)

/* Of a page that is the guest's own: what is shown over its RAM is not. */
static uint64_t placed_frame_of(uint64_t entry, const struct ram_span *s)
{
	return pull_wants(entry, s->own) ? entry & FRAME_BITS : 0;
}

uint64_t placed_look_up(struct placed *p, const struct ram_span *s,
			uint64_t page, uint64_t nr)
{
	uint64_t entries[SCAN_ENTRIES];
	int64_t got = pagemap_read(p->pagemap,
				   ram_span_at(s, page) / PAGE_BYTES, entries,
				   min_u64(nr, SCAN_ENTRIES));

	if (got <= 0) {
		p->gone = true;
		return 0;
	}
	for (uint64_t i = 0; i < (uint64_t)got; i++)
		frame_map_set(p->frames, page + i,
			      placed_frame_of(entries[i], s));
	return (uint64_t)got;
}

/*
 * The part of a span that lies in @nr pages from @page on: frames of pages that
 * are there. Return: false: its memory is gone.
 */
static bool placed_look_in(struct placed *p, const struct ram_span *s,
			   uint64_t page, uint64_t nr, uint64_t *frames)
{
	uint64_t entries[SCAN_ENTRIES];
	uint64_t from = max_u64(s->page, page);
	uint64_t to = min_u64(s->page + s->pages, page + nr);
	int64_t got = pagemap_read(p->pagemap,
				   ram_span_at(s, from) / PAGE_BYTES, entries,
				   to - from);

	for (int64_t i = 0; i < got; i++) {
		uint64_t frame = placed_frame_of(entries[i], s);

		if (frame)
			frames[from - page + (uint64_t)i] = frame;
	}
	return got > 0;
}

/*
 * Of pages from one on, at most SCAN_ENTRIES, in all mappings of RAM: a page is
 * where one of them has it. Return: as placed_look_in().
 */
static bool placed_look_in_all(struct placed *p, uint64_t page, uint64_t nr)
{
	uint64_t frames[SCAN_ENTRIES] = { 0 };
	unsigned first = 0;

	for (unsigned g = 0; g < p->nr_groups; first = p->group_end[g++]) {
		const struct ram_span *s = p->spans + first;
		unsigned n = p->group_end[g] - first;

		for (unsigned i = ram_spans_beyond(s, n, page);
		     i < n && s[i].page < page + nr; i++)
			/* What is shown over RAM is a copy. */
			if (s[i].own == AGENT_FILE &&
			    !placed_look_in(p, &s[i], page, nr, frames))
				return false;
	}
	for (uint64_t i = 0; i < nr; i++)
		frame_map_set(p->frames, page + i, frames[i]);
	return true;
}

void placed_look_up_page(void *arg, uint64_t page)
{
	struct placed *p = arg;

	p->gone |= !placed_look_in_all(p, page, 1);
}

/* More mappings than there can be: those beyond are left out. */
static void placed_find_groups(struct placed *p)
{
	unsigned end = 0;

	p->nr_groups = 0;
	while (end < p->nr_spans && p->nr_groups < GROUPS_MAX) {
		end = ram_spans_group(p->spans, p->nr_spans, end);
		p->group_end[p->nr_groups++] = end;
	}
}

static void placed_begin_round(struct placed *p)
{
	int nr = ram_spans_read(p->maps, p->ram_pages, p->spans, SPANS_MAX);

	if (nr < 0) {
		p->gone = true;
		return;
	}
	/*
	 * A worker that has just begun may have mapped nothing yet; control
	 * says so when one has ended.
	 */
	p->nr_spans = (unsigned)nr;
	placed_find_groups(p);
	p->spent_ns = 0;
	p->scanning = nr > 0;
	p->scan_span = 0;
	p->scan_page = 0;
}

static void placed_scan_slice_of_all(struct placed *p)
{
	uint64_t nr = min_u64(SCAN_ENTRIES, p->ram_pages - p->scan_page);

	if (!placed_look_in_all(p, p->scan_page, nr))
		p->gone = true;
	p->scan_page += nr;
	p->scanning = p->scan_page < p->ram_pages;
}

/* Of a round. At its end there is none under way. */
static void placed_scan_slice(struct placed *p)
{
	const struct ram_span *s = &p->spans[p->scan_span];

	if (p->copies) {
		placed_scan_slice_of_all(p);
		return;
	}
	p->scan_page += placed_look_up(p, s, s->page + p->scan_page,
				       s->pages - p->scan_page);
	if (p->scan_page < s->pages)
		return;
	p->scan_page = 0;
	p->scanning = ++p->scan_span < p->nr_spans;
}

uint64_t placed_work(const struct placed *p, int cpu)
{
	return p->machine->work_ns && cpu >= 0
		       ? p->machine->work_ns(p->machine->arg, (unsigned)cpu)
		       : 0;
}

/* What this thread has worked: in a lab, as far as it stays on its CPU. */
static uint64_t placed_worked(const struct placed *p, int cpu)
{
	return p->machine->work_ns ? placed_work(p, cpu) : clock_thread_ns();
}

/*
 * The mappings alone, where nobody asks for the pages of frames. They change as
 * pages are sampled and shown; a span that is wrong is a page without a home.
 */
static void placed_scan_spans(struct placed *p, int cpu)
{
	uint64_t begun = placed_worked(p, cpu);

	placed_begin_round(p);
	p->scanning = false;
	p->spent_ns = placed_worked(p, cpu) - begun;
}

/* Some of a round. Not time that passes, but work counts: others run as well. */
static void placed_scan_some(struct placed *p)
{
	int cpu = sched_getcpu();
	uint64_t begun = placed_worked(p, cpu), spent = 0;

	if (p->machine->by_page) {
		placed_scan_spans(p, cpu);
		return;
	}
	if (!p->scanning)
		placed_begin_round(p);
	while (p->scanning && !p->gone && spent < SCAN_NS) {
		placed_scan_slice(p);
		spent = placed_worked(p, cpu) - begun;
		if (cpu != sched_getcpu())
			spent = SCAN_NS;
	}
	p->spent_ns += spent;
}

void placed_scan(struct placed *p)
{
	uint64_t rest = max_u64(p->spent_ns * SCAN_REST, SCAN_SOON_NS);

	if (!p->scanning && p->scanned && placed_now(p) - p->scanned_ns < rest)
		return;
	placed_scan_some(p);
	p->scanned_ns = placed_now(p);
	p->scanned = true;
}

void placed_frames(const struct placed *p, const uint64_t *pages, unsigned nr,
		   uint64_t *out)
{
	for (unsigned i = 0; i < nr; i++) {
		const struct ram_span *s =
			ram_spans_find(p->spans, p->nr_spans, pages[i]);
		uint64_t entry;

		out[i] =
			s && pagemap_read(p->pagemap,
					  ram_span_at(s, pages[i]) / PAGE_BYTES,
					  &entry, 1) == 1
				? placed_frame_of(entry, s)
				: 0;
	}
}
