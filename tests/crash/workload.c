/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/crash/workload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/must.h"

#define BLOCK_SECTORS (COW_BLOCK_BYTES / CRASH_SECTOR)
#define PAGE_SECTORS  ((uint64_t)COW_PAGE_BLOCKS * BLOCK_SECTORS)

/* Two pages of bitmap and a bit, the last block cut. */
#define DISK_SECTORS (2 * PAGE_SECTORS + 1024 + 3)

/* The windows lie across the ends of bitmap pages, and at the disk's end. */
static uint64_t sector_of(unsigned wi)
{
	static const uint64_t start[WL_WINDOWS] = {
		PAGE_SECTORS - WL_WINDOW_SECTORS / 2,
		2 * PAGE_SECTORS - WL_WINDOW_SECTORS / 2,
		DISK_SECTORS - WL_WINDOW_SECTORS + 5,
	};

	return start[wi / WL_WINDOW_SECTORS] + wi % WL_WINDOW_SECTORS;
}

/* The last window begins inside a block and ends 5 sectors early. */
static unsigned window_nr(unsigned window)
{
	return window == WL_WINDOWS - 1 ? WL_WINDOW_SECTORS - 5
					: WL_WINDOW_SECTORS;
}

void workload_init(struct workload *w, uint32_t nr_ops, enum crash_order order,
		   uint64_t seed, bool at_once)
{
	struct cow_base base = { .bytes = DISK_SECTORS * CRASH_SECTOR,
				 .mtime_ns = 1,
				 .content = 2 };
	const char *why = "";

	memset(w, 0, sizeof(*w));
	must(cow_layout_of(base.bytes, &w->layout) == 0);
	crash_io_init(&w->c, &w->layout, order, seed ^ 0x5eed);
	w->c.at_once = true;
	must(cow_format(&w->c.io, &base) == 0);
	must(cow_open(&w->c.io, w->layout.file_bytes, WL_DEPTH + 1, 0, &w->cow,
		      &why) == 0);
	w->c.at_once = at_once;
	w->c.nr_done = 0;
	w->rand.state = seed;
	w->ops = calloc(nr_ops + 1, sizeof(*w->ops));
	must(w->ops);
	w->nr_ops = nr_ops;
	for (unsigned i = 0; i < WL_DEPTH; i++)
		w->reqs[i].w = w;
}

void workload_free(struct workload *w)
{
	cow_close(w->cow);
	crash_io_free(&w->c);
	free(w->ops);
}

/* --- what a sector may hold --- */

static bool all_zero(const uint8_t *p)
{
	return p[0] == 0 && memcmp(p, p + 1, CRASH_SECTOR - 1) == 0;
}

static bool allowed(const struct workload *w, unsigned wi, const uint8_t *data,
		    uint32_t floor)
{
	uint8_t want[CRASH_SECTOR];
	uint64_t v;

	if (all_zero(data))
		return w->zero[wi] && w->zero[wi] >= floor;
	memcpy(&v, data + 8, sizeof(v));
	crash_pattern(sector_of(wi), v, want);
	if (memcmp(data, want, sizeof(want)) != 0 || v > w->version ||
	    v < floor)
		return false;
	if (v == 0)
		return true;
	return !w->ops[v].zero && wi >= w->ops[v].first &&
	       wi < w->ops[v].first + w->ops[v].nr;
}

static void check_sector(struct workload *w, unsigned wi, const uint8_t *data,
			 uint32_t floor)
{
	uint64_t word[2];

	w->nr_checked++;
	if (allowed(w, wi, data, floor))
		return;
	memcpy(word, data, sizeof(word));
	if (w->nr_lost++ < 10)
		printf("# sector %llu holds sector %llu version %llu, not %u "
		       "or later (zero %u, completed %u)\n",
		       (unsigned long long)sector_of(wi),
		       (unsigned long long)word[0] - 1,
		       (unsigned long long)word[1], floor, w->zero[wi],
		       w->completed[wi]);
}

/* --- requests --- */

static void done_write(struct workload *w, struct wl_req *q, int err)
{
	for (unsigned i = q->first; i < q->first + q->nr; i++) {
		w->writers[i]--;
		if (!err)
			w->completed[i] = q->version;
	}
}

static void done_read(struct workload *w, struct wl_req *q)
{
	w->nr_reads++;
	for (unsigned i = 0; i < q->nr; i++)
		check_sector(w, q->first + i, q->data + i * CRASH_SECTOR,
			     q->floor[q->first + i]);
}

static void done_flush(struct workload *w, const struct wl_req *q)
{
	w->nr_flushes++;
	for (unsigned i = 0; i < WL_SECTORS; i++)
		if (q->floor[i] > w->durable[i])
			w->durable[i] = q->floor[i];
}

static void done(struct disk_req *r, int err)
{
	struct wl_req *q = container_of(r, struct wl_req, r);
	struct workload *w = q->w;

	must(q->busy); /* never twice */
	q->busy = false;
	w->nr_busy--;
	w->nr_flushing -= r->op == DISK_FLUSH;
	if (err) {
		w->nr_errors++;
		w->nr_flush_errors += r->op == DISK_FLUSH;
	}
	if (r->op == DISK_FLUSH && !err)
		done_flush(w, q);
	else if (r->op == DISK_READ && !err)
		done_read(w, q);
	else if (r->op != DISK_FLUSH && r->op != DISK_READ)
		done_write(w, q, err);
}

/* Three pieces of odd sizes. */
static void set_pieces(struct workload *w, struct wl_req *q)
{
	size_t n = (size_t)q->nr * CRASH_SECTOR;
	size_t a = crash_rand(&w->rand, n / 3 + 1) + 1;
	size_t b = crash_rand(&w->rand, n - a + 1);

	if (b > n - a)
		b = n - a;
	q->iov[0] = (struct iovec){ q->data, a };
	q->iov[1] = (struct iovec){ q->data + a, b };
	q->iov[2] = (struct iovec){ q->data + a + b, n - a - b };
	q->r.iov = q->iov;
	q->r.nr_iov = 3;
}

static void pick_range(struct workload *w, struct wl_req *q)
{
	unsigned window = (unsigned)crash_rand(&w->rand, WL_WINDOWS);
	unsigned max = window_nr(window);
	unsigned at = (unsigned)crash_rand(&w->rand, max);
	unsigned nr = 1 + (unsigned)crash_rand(&w->rand, WL_REQ_SECTORS);
	uint64_t sector = sector_of(window * WL_WINDOW_SECTORS + at);

	/* Half of them whole blocks. */
	if (crash_rand(&w->rand, 2)) {
		at -= (unsigned)min_u64(at, sector % BLOCK_SECTORS);
		nr = (unsigned)align_up(nr, BLOCK_SECTORS);
	}
	nr = (unsigned)min_u64(nr, max - at);
	q->first = (uint16_t)(window * WL_WINDOW_SECTORS + at);
	q->nr = (uint16_t)nr;
}

static bool writers_in(const struct workload *w, const struct wl_req *q)
{
	for (unsigned i = q->first; i < q->first + q->nr; i++)
		if (w->writers[i])
			return true;
	return false;
}

/* What of a discard is whole blocks; the rest stays as it was. */
static void shrink_discard(const struct workload *w, struct wl_req *q)
{
	uint64_t a = sector_of(q->first), b = a + q->nr;
	uint64_t end = w->layout.disk_bytes / CRASH_SECTOR;
	uint64_t from = align_up(a, BLOCK_SECTORS);

	if (b != end)
		b = align_down(b, BLOCK_SECTORS);
	q->first = (uint16_t)(q->first + (from - a));
	q->nr = (uint16_t)(b > from ? b - from : 0);
}

static void begin_write(struct workload *w, struct wl_req *q)
{
	q->version = ++w->version;
	w->ops[q->version] =
		(struct wl_op){ q->first, q->nr, q->r.op != DISK_WRITE };
	for (unsigned i = 0; i < q->nr; i++) {
		unsigned wi = q->first + i;

		w->writers[wi]++;
		if (q->r.op != DISK_WRITE)
			w->zero[wi] = q->version;
		else
			crash_pattern(sector_of(wi), q->version,
				      q->data + i * CRASH_SECTOR);
	}
}

static enum disk_op pick_op(struct workload *w)
{
	uint64_t dice = crash_rand(&w->rand, 100);

	if (dice < 55)
		return DISK_WRITE;
	if (dice < 63)
		return DISK_WRITE_ZEROES;
	if (dice < 70)
		return DISK_DISCARD;
	if (dice < 90 || (w->one_flush && w->nr_flushing))
		return DISK_READ;
	return DISK_FLUSH;
}

static void submit(struct workload *w, struct wl_req *q)
{
	int err;

	q->busy = true;
	w->nr_busy++;
	q->r.done = done;
	err = cow_submit(w->cow, &q->r);
	must(err == 0);
}

static void issue(struct workload *w, struct wl_req *q)
{
	q->r = (struct disk_req){ .op = pick_op(w) };
	q->nr = 0;
	if (q->r.op != DISK_FLUSH) {
		pick_range(w, q);
		q->r.offset = sector_of(q->first) * CRASH_SECTOR;
		q->r.bytes = (uint64_t)q->nr * CRASH_SECTOR;
		if (q->r.op != DISK_READ && writers_in(w, q))
			return; /* two answers would be right: not asked */
		set_pieces(w, q);
	}
	if (q->r.op == DISK_DISCARD)
		shrink_discard(w, q);
	if (q->r.op == DISK_READ || q->r.op == DISK_FLUSH)
		memcpy(q->floor, w->completed, sizeof(q->floor));
	else
		begin_write(w, q);
	w->nr_flushing += q->r.op == DISK_FLUSH;
	submit(w, q);
}

void workload_step(struct workload *w)
{
	for (unsigned i = 0; i < WL_DEPTH; i++) {
		if (w->reqs[i].busy || w->version >= w->nr_ops)
			continue;
		issue(w, &w->reqs[i]);
		break;
	}
	for (uint64_t n = crash_rand(&w->rand, 5); n; n--)
		(void)crash_io_one(&w->c);
}

void workload_drain(struct workload *w)
{
	while (crash_io_one(&w->c))
		;
	must(w->nr_busy == 0);
}

int workload_flush(struct workload *w)
{
	struct wl_req *q = &w->reqs[0];
	uint64_t before = w->nr_errors;

	workload_drain(w);
	q->r = (struct disk_req){ .op = DISK_FLUSH };
	memcpy(q->floor, w->completed, sizeof(q->floor));
	w->nr_flushing++;
	submit(w, q);
	workload_drain(w);
	return w->nr_errors == before ? 0 : -EIO;
}

/* --- looking --- */

struct whole {
	struct disk_req r;
	bool done;
};

static void read_done(struct disk_req *r, int err)
{
	must(err == 0);
	container_of(r, struct whole, r)->done = true;
}

void workload_check(struct workload *w, struct cow *cow, const uint32_t *floor)
{
	static uint8_t data[WL_WINDOW_SECTORS * CRASH_SECTOR];

	for (unsigned k = 0; k < WL_WINDOWS; k++) {
		unsigned first = k * WL_WINDOW_SECTORS, nr = window_nr(k);
		struct iovec v = { data, (size_t)nr * CRASH_SECTOR };
		struct whole q = { .r = { .op = DISK_READ,
					  .offset = sector_of(first) *
						    CRASH_SECTOR,
					  .iov = &v,
					  .nr_iov = 1,
					  .done = read_done } };

		must(cow_submit(cow, &q.r) == 0);
		while (!q.done)
			must(crash_io_one(&w->c));
		for (unsigned i = 0; i < nr; i++)
			check_sector(w, first + i, data + i * CRASH_SECTOR,
				     floor[first + i]);
	}
}

void workload_crash(struct workload *w, struct crash_view *v,
		    enum crash_fate fate, struct crash_random *r)
{
	const char *why = "";
	struct cow *cow = NULL;
	int err;

	crash_view_cut(v, fate, r);
	err = cow_open(&v->io, w->layout.file_bytes, 1, 0, &cow, &why);
	if (err) {
		printf("# after a crash: %s\n", why);
		w->nr_lost++;
		return;
	}
	workload_check(w, cow, w->durable);
	cow_close(cow);
}
