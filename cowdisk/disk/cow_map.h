/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The presence bitmap in memory, and which part of it is not on disk yet. It is
 * handled in pages of 4096 bytes, which are the units that are written.
 * Context: one thread.
 *
 * A page is CLEAN (memory and disk agree), DIRTY (memory has more bits), or
 * TAKEN (a snapshot of it is being written). A page that gets bits while it is
 * TAKEN is both TAKEN and DIRTY; the next snapshot has these bits.
 */
#ifndef DISCO_COWDISK_COW_MAP_H
#define DISCO_COWDISK_COW_MAP_H

#include "cowdisk/disk/cow_format.h"

struct cow_map {
	uint8_t *bits;	   /* map_bytes; touched when used */
	uint8_t *snapshot; /* map_bytes; of pages that are TAKEN */
	uint8_t *state;	   /* one byte per page: MAP_DIRTY | MAP_TAKEN */
	uint64_t nr_blocks;
	uint64_t map_bytes;
	uint64_t nr_pages;
	uint64_t nr_dirty; /* pages */
};

/* Create a map with all blocks absent. Return: 0; -ENOMEM. */
MUST_CHECK int cow_map_create(struct cow_map *m, const struct cow_layout *l);
/* All-zero is accepted. */
void cow_map_destroy(struct cow_map *m);

/**
 * cow_map_load() - read the bitmap of a file into an empty map
 * Return: 0; -errno of a read; -EBADMSG, with @why, a bit past the last block.
 */
MUST_CHECK int cow_map_load(struct cow_map *m, struct io *io, const char **why);

bool cow_map_has(const struct cow_map *m, uint64_t block);

/*
 * Number of blocks, from @block on, that are all present or all absent: at
 * least 1, at most @max.
 */
uint64_t cow_map_run(const struct cow_map *m, uint64_t block, uint64_t max);

/* Mark blocks as present. */
void cow_map_set(struct cow_map *m, uint64_t block, uint64_t nr);

uint64_t cow_map_count(const struct cow_map *m);

/*
 * Make DIRTY pages TAKEN. No page may be TAKEN before. Return: number of pages.
 */
uint64_t cow_map_take(struct cow_map *m);
/* The first TAKEN page from @page on; nr_pages: there is none. */
uint64_t cow_map_next_taken(const struct cow_map *m, uint64_t page);
/* The snapshot of a page. */
uint8_t *cow_map_taken(const struct cow_map *m, uint64_t page);
/* The snapshot of the page is on disk now. */
void cow_map_written(struct cow_map *m, uint64_t page);
/* Pages that are still TAKEN were not written: make them DIRTY again. */
void cow_map_give_back(struct cow_map *m);

#endif
