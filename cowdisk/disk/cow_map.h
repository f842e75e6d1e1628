/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The presence bitmap in memory, and what of it is not on disk yet. It knows
 * pages of 4096 bytes: they are what is written. Threads: one.
 *
 * A page is CLEAN (memory and disk agree), DIRTY (memory has more bits), or
 * TAKEN (a snapshot of it is being written). A page that gets bits while it
 * is TAKEN is both; they come with the next snapshot.
 */
#ifndef DISCO_COWDISK_COW_MAP_H
#define DISCO_COWDISK_COW_MAP_H

#include "cowdisk/disk/cow_format.h"

struct cow_map {
	uint8_t *bits;	   /* map_bytes, lazily zero */
	uint8_t *snapshot; /* as long; pages that are TAKEN */
	uint8_t *state;	   /* a byte a page: MAP_DIRTY | MAP_TAKEN */
	uint64_t nr_blocks;
	uint64_t map_bytes;
	uint64_t nr_pages;
	uint64_t nr_dirty; /* pages */
};

/* All blocks absent. Return: 0; -ENOMEM. */
MUST_CHECK int cow_map_create(struct cow_map *m, const struct cow_layout *l);
/* All-zero is fine. */
void cow_map_destroy(struct cow_map *m);

/**
 * cow_map_load() - read the bitmap of a file, over an empty map
 * Return: 0; -errno of a read; -EBADMSG a bit past the last block, with @why.
 */
MUST_CHECK int cow_map_load(struct cow_map *m, struct io *io, const char **why);

bool cow_map_has(const struct cow_map *m, uint64_t block);

/* How many blocks from @block on (at most @max, at least 1) are as present
 * as it is. */
uint64_t cow_map_run(const struct cow_map *m, uint64_t block, uint64_t max);

/* Blocks become present. */
void cow_map_set(struct cow_map *m, uint64_t block, uint64_t nr);

uint64_t cow_map_count(const struct cow_map *m);

/* DIRTY pages become TAKEN; how many there were. None may be TAKEN before. */
uint64_t cow_map_take(struct cow_map *m);
/* The first TAKEN page from @page on; nr_pages when there is none. */
uint64_t cow_map_next_taken(const struct cow_map *m, uint64_t page);
/* What was taken of a page. */
uint8_t *cow_map_taken(const struct cow_map *m, uint64_t page);
/* The page is on disk. */
void cow_map_written(struct cow_map *m, uint64_t page);
/* What is still TAKEN was not written after all: DIRTY again. */
void cow_map_give_back(struct cow_map *m);

#endif
