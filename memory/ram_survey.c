/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory/ram_survey.h"

#include <errno.h>
#include <unistd.h>

#define BATCH	  512u /* pages per system call */
#define CHUNK_MIN 512u /* pages: one page table */

struct survey {
	const struct ram_view *view;
	const struct pmap *pm;
	const struct ram_survey_ask *ask;
	struct ram_survey *out;
	uint64_t nr;	/* pages of the view */
	uint64_t chunk; /* pages per chunk */
	uint64_t share; /* of the budget, per chunk, in pages */
	uint64_t dice;
	unsigned in_batch;
	void *batch[BATCH];
	struct node_counts found; /* of the chunk so far, of those looked at */
};

/*
 * The first page, @at or later, that may be mapped. Under an overlay RAM is a
 * hole.
 */
static uint64_t survey_next(const struct survey *s, uint64_t at)
{
	uint64_t shown = s->pm ? pmap_skip(s->pm, at) : s->nr, data = s->nr;
	off_t off;

	if (at >= s->nr)
		return s->nr;
	off = lseek(s->view->fd, (off_t)(at * PAGE_BYTES), SEEK_DATA);
	if (off >= 0)
		data = (uint64_t)off / PAGE_BYTES;
	else if (errno != ENXIO)
		data = at; /* a file without holes: look */
	return min_u64(data, shown);
}

/* A page in [0, @nr): xorshift64*, whose upper bits are good. */
static uint64_t survey_dice(struct survey *s, uint64_t nr)
{
	s->dice ^= s->dice >> 12;
	s->dice ^= s->dice << 25;
	s->dice ^= s->dice >> 27;
	return (s->dice * 0x2545f4914f6cdd1dull >> 32) % nr;
}

static int survey_flush(struct survey *s)
{
	int err;

	if (s->ask->stop && s->ask->stop(s->ask->arg))
		return -ECANCELED;
	err = node_pages_at(s->batch, s->in_batch, &s->found);
	if (err)
		return err;
	s->out->looked += s->in_batch;
	s->in_batch = 0;
	return 0;
}

/* A hole stays one, unless it is punched just now. */
static void survey_map(const struct survey *s, uint64_t page)
{
	off_t at = (off_t)(page * PAGE_BYTES);

	if (lseek(s->view->fd, at, SEEK_DATA) == at)
		(void)*(const volatile uint8_t *)(s->view->hva + at);
}

static int survey_add(struct survey *s, uint64_t page)
{
	if (s->ask->map)
		survey_map(s, page);
	s->batch[s->in_batch++] = s->view->hva + page * PAGE_BYTES;
	return s->in_batch < BATCH ? 0 : survey_flush(s);
}

/* @of pages, of which @part were counted of @looked, 0 of none. Rounded. */
static uint64_t survey_scale(uint64_t part, uint64_t looked, uint64_t of)
{
	return looked ? (part * of + looked / 2) / looked : 0;
}

/* Look at a chunk, at s->share of its pages or at all. */
static int survey_chunk(struct survey *s, uint64_t first)
{
	uint64_t nr = min_u64(s->chunk, s->nr - first);
	uint64_t looked = min_u64(s->share, nr);
	int err = 0;

	s->found.nr = 0;
	for (uint64_t i = 0; i < looked && !err; i++) {
		uint64_t from = nr * i / looked, to = nr * (i + 1) / looked;

		err = survey_add(s, first + from + survey_dice(s, to - from));
	}
	if (!err)
		err = survey_flush(s);
	if (err)
		return err;
	for (unsigned i = 0; i < s->found.nr; i++) {
		uint64_t n = survey_scale(s->found.at[i].pages, looked, nr);

		node_counts_add(&s->out->on, s->found.at[i].node, n);
		s->out->pages += n;
	}
	s->out->exact = s->out->exact && looked == nr;
	return 0;
}

/* How many chunks are not all absent? At most RAM_SURVEY_CHUNKS. */
static uint64_t survey_count(const struct survey *s)
{
	uint64_t found = 0;

	for (uint64_t at = survey_next(s, 0); at < s->nr;
	     at = survey_next(s, (at / s->chunk + 1) * s->chunk))
		found++;
	return found;
}

static int survey_all(struct survey *s)
{
	int err = 0;

	for (uint64_t at = survey_next(s, 0); at < s->nr && !err;
	     at = survey_next(s, (at / s->chunk + 1) * s->chunk))
		err = survey_chunk(s, at / s->chunk * s->chunk);
	return err;
}

int ram_survey(const struct ram_view *view, const struct pmap *pm,
	       const struct ram_survey_ask *ask, struct ram_survey *out)
{
	struct ram_survey sum = { .exact = true };
	struct survey s = { .view = view,
			    .pm = pm,
			    .ask = ask,
			    .out = &sum,
			    .nr = view->bytes / PAGE_BYTES,
			    .chunk = CHUNK_MIN,
			    .share = UINT64_MAX,
			    .dice = ask->seed | 1 };
	uint64_t least = (s.nr + RAM_SURVEY_CHUNKS - 1) / RAM_SURVEY_CHUNKS;
	int err;

	if (ask->budget != RAM_SURVEY_ALL) {
		s.chunk = max_u64(least, CHUNK_MIN);
		s.share = ask->budget / max_u64(survey_count(&s), 1);
		s.share = max_u64(s.share, 1);
	}
	err = survey_all(&s);
	if (err)
		return err;
	*out = sum;
	return 0;
}
