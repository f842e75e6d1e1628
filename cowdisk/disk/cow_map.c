/* SPDX-License-Identifier: BSD-2-Clause */
#include "cowdisk/disk/cow_map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define MAP_DIRTY 1u
#define MAP_TAKEN 2u

/* Pages that are never written stay the kernel's zero page. */
static uint8_t *lazy_zeroes(uint64_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

int cow_map_create(struct cow_map *m, const struct cow_layout *l)
{
	*m = (struct cow_map){ .nr_blocks = l->nr_blocks,
			       .map_bytes = l->map_bytes,
			       .nr_pages = l->map_bytes / COW_MAP_PAGE };
	m->bits = lazy_zeroes(m->map_bytes);
	m->snapshot = lazy_zeroes(m->map_bytes);
	m->state = calloc(m->nr_pages, 1);
	if (m->bits && m->snapshot && m->state)
		return 0;
	cow_map_destroy(m);
	return -ENOMEM;
}

void cow_map_destroy(struct cow_map *m)
{
	if (m->bits)
		(void)munmap(m->bits, m->map_bytes);
	if (m->snapshot)
		(void)munmap(m->snapshot, m->map_bytes);
	free(m->state);
	memset(m, 0, sizeof(*m));
}

static bool cow_map_is_zero(const uint8_t *p, size_t n)
{
	return p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

/* Is there no bit past the last block? */
static bool tail_is_zero(const struct cow_map *m)
{
	uint64_t byte = m->nr_blocks / 8;
	unsigned used = m->nr_blocks % 8;

	if (used && m->bits[byte] >> used)
		return false;
	for (byte += used != 0; byte < m->map_bytes; byte++)
		if (m->bits[byte])
			return false;
	return true;
}

int cow_map_load(struct cow_map *m, struct io *io, const char **why)
{
	uint8_t page[COW_MAP_PAGE];

	*why = "its bitmap cannot be read";
	for (uint64_t at = 0; at < m->map_bytes; at += sizeof(page)) {
		int err = io_read_now(io, IO_COW, COW_HEADER_BYTES + at, page,
				      sizeof(page));

		if (err)
			return err;
		if (!cow_map_is_zero(page, sizeof(page)))
			memcpy(m->bits + at, page, sizeof(page));
	}
	if (tail_is_zero(m))
		return 0;
	*why = "its bitmap is damaged (a block past the end)";
	return -EBADMSG;
}

bool cow_map_has(const struct cow_map *m, uint64_t block)
{
	return m->bits[block / 8] >> (block % 8) & 1;
}

uint64_t cow_map_run(const struct cow_map *m, uint64_t block, uint64_t max)
{
	bool is = cow_map_has(m, block);
	uint8_t same = is ? 0xff : 0;
	uint64_t n = 1;

	while (n < max) {
		uint64_t b = block + n;

		if (b % 8 == 0 && m->bits[b / 8] == same)
			n += 8;
		else if (cow_map_has(m, b) == is)
			n++;
		else
			break;
	}
	return min_u64(n, max);
}

void cow_map_set(struct cow_map *m, uint64_t block, uint64_t nr)
{
	for (uint64_t b = block; b < block + nr; b++) {
		uint8_t *state = &m->state[b / COW_PAGE_BLOCKS];

		if (cow_map_has(m, b))
			continue;
		m->bits[b / 8] |= (uint8_t)(1u << (b % 8));
		if (!(*state & MAP_DIRTY)) {
			*state |= MAP_DIRTY;
			m->nr_dirty++;
		}
	}
}

uint64_t cow_map_count(const struct cow_map *m)
{
	uint64_t n = 0, word;

	for (uint64_t at = 0; at < m->map_bytes; at += sizeof(word)) {
		memcpy(&word, m->bits + at, sizeof(word));
		n += (uint64_t)__builtin_popcountll(word);
	}
	return n;
}

uint8_t *cow_map_taken(const struct cow_map *m, uint64_t page)
{
	return m->snapshot + page * COW_MAP_PAGE;
}

uint64_t cow_map_take(struct cow_map *m)
{
	uint64_t n = m->nr_dirty;

	for (uint64_t p = 0; p < m->nr_pages && m->nr_dirty; p++) {
		if (!(m->state[p] & MAP_DIRTY))
			continue;
		memcpy(cow_map_taken(m, p), m->bits + p * COW_MAP_PAGE,
		       COW_MAP_PAGE);
		m->state[p] = MAP_TAKEN;
		m->nr_dirty--;
	}
	return n;
}

uint64_t cow_map_next_taken(const struct cow_map *m, uint64_t page)
{
	while (page < m->nr_pages && !(m->state[page] & MAP_TAKEN))
		page++;
	return page;
}

void cow_map_written(struct cow_map *m, uint64_t page)
{
	m->state[page] &= (uint8_t)~MAP_TAKEN;
}

void cow_map_give_back(struct cow_map *m)
{
	for (uint64_t p = cow_map_next_taken(m, 0); p < m->nr_pages;
	     p = cow_map_next_taken(m, p)) {
		m->nr_dirty += !(m->state[p] & MAP_DIRTY);
		m->state[p] = MAP_DIRTY;
	}
}
