/* SPDX-License-Identifier: BSD-2-Clause */
#include "cowdisk/store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cowdisk/store/store_internal.h"
#include "numa/atomic_ops.h"

/* --- pools --- */

int pool_create_on(struct fetcher *fetcher, uint64_t limit_bytes,
		   unsigned depth, struct pool **out)
{
	struct pool *p = calloc(1, sizeof(*p));

	if (!p) {
		fetcher->ops->destroy(fetcher);
		return -ENOMEM;
	}
	p->fetcher = fetcher;
	p->depth = depth;
	p->limit = limit_bytes / CACHE_BLOCK_BYTES;
	p->limited = limit_bytes != 0;
	STAILQ_INIT(&p->queue);
	for (unsigned i = 0; i < NR_CLOCKS; i++)
		p->hands[i].purse = EVICT_LOOKS;
	*out = p;
	return 0;
}

int pool_create(uint64_t limit_bytes, unsigned depth, struct pool **out)
{
	struct fetcher *f;
	int err = fetcher_create(depth, &f);

	return err ? err : pool_create_on(f, limit_bytes, depth, out);
}

void pool_destroy(struct pool *p)
{
	struct store *s;

	if (!p)
		return;
	LIST_FOREACH(s, &p->stores, link)
		store_drop_waits(s, NULL);
	/* The analyser does not see that store_close() unlinks the store. */
	while ((s = LIST_FIRST(&p->stores)))
		store_close(s); /* NOLINT(clang-analyzer-unix.Malloc) */
	p->fetcher->ops->destroy(p->fetcher);
	free(p);
}

void pool_set_limit(struct pool *p, uint64_t limit_bytes)
{
	p->limit = limit_bytes / CACHE_BLOCK_BYTES;
	p->limited = true;
	p->shrinking = true;
	p->shrink_rounds = 0;
	(void)pool_turn(p);
}

int pool_event_fd(const struct pool *p)
{
	return p->fetcher->event_fd;
}

void pool_get_stats(const struct pool *p, struct pool_stats *out)
{
	*out = p->stats;
	out->limit_blocks = p->limit;
}

/* --- taking over from an earlier agent --- */

/*
 * Clear presence bits of blocks that are holes: a worker would take zeroes for
 * data.
 */
static void correct_word(struct store *s, uint64_t word)
{
	uint64_t there = shared_load(&s->presence[word], memory_order_relaxed);
	uint64_t held = s->held.level[0][word];

	if (there & ~held)
		shared_store(&s->presence[word], there & held,
			     memory_order_release);
}

/* Call @each for the ranges with data of a sparse file, in @unit bytes. */
static int each_extent(int fd, uint64_t unit, struct store *s,
		       void (*each)(struct store *s, uint64_t from,
				    uint64_t to))
{
	off_t at = 0, end;

	while ((at = lseek(fd, at, SEEK_DATA)) >= 0) {
		end = lseek(fd, at, SEEK_HOLE);
		if (end < 0)
			return -errno;
		each(s, (uint64_t)at / unit, (uint64_t)end / unit);
		at = end;
	}
	return errno == ENXIO ? 0 : -errno; /* ENXIO: no more data */
}

static void hold_blocks(struct store *s, uint64_t from, uint64_t to)
{
	for (uint64_t b = from; b < to; b++)
		bit_tree_set(&s->held, b);
	s->pool->stats.present_blocks += to - from;
}

static void correct_words(struct store *s, uint64_t from, uint64_t to)
{
	to = min_u64(to, bits_words(s->nr_blocks));
	for (uint64_t w = from; w < to; w++)
		correct_word(s, w);
}

static int take_over(struct store *s, int presence)
{
	int err = each_extent(s->memory, PAGE_BYTES, s, hold_blocks);

	return err ? err
		   : each_extent(presence, sizeof(lease_word), s,
				 correct_words);
}

/* --- stores --- */

static int expect_size(int fd, uint64_t bytes)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	return (uint64_t)st.st_size == bytes ? 0 : -EINVAL;
}

static int map_shared(int fd, size_t bytes, void **out)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_NORESERVE, fd, 0);

	if (p == MAP_FAILED)
		return -errno;
	*out = p;
	return 0;
}

static int store_map_all(struct store *s, int presence)
{
	size_t bytes = s->nr_blocks * PAGE_BYTES;
	size_t map_bytes = lease_map_bytes(s->nr_blocks);
	void *base = NULL, *map = NULL;
	int flags, err = expect_size(s->memory, bytes);

	if (err)
		return err;
	err = expect_size(presence, map_bytes);
	if (err)
		return err;
	err = map_shared(s->memory, bytes, &base);
	if (err)
		return err;
	s->base = base;
	/* A huge page would be more than was asked for, and than the limit. */
	(void)madvise(base, bytes, MADV_NOHUGEPAGE);
	err = map_shared(presence, map_bytes, &map);
	if (err)
		return err;
	s->presence = map;
	flags = fcntl(s->image, F_GETFL);
	s->direct = flags >= 0 && (flags & O_DIRECT);
	return 0;
}

static int make_maps(struct store *s)
{
	size_t words = bits_words(s->nr_blocks);

	s->filling = calloc(words, sizeof(*s->filling));
	s->referenced = calloc(words, sizeof(*s->referenced));
	if (!s->filling || !s->referenced)
		return -ENOMEM;
	return bit_tree_create(&s->held, s->nr_blocks) ||
			       bit_tree_create(&s->replicas, s->nr_blocks)
		       ? -ENOMEM
		       : 0;
}

static void store_free(struct store *s)
{
	if (s->base)
		(void)munmap(s->base, s->nr_blocks * PAGE_BYTES);
	if (s->presence)
		(void)munmap(s->presence, lease_map_bytes(s->nr_blocks));
	(void)close(s->image);
	(void)close(s->memory);
	bit_tree_destroy(&s->held);
	bit_tree_destroy(&s->replicas);
	free(s->filling);
	free(s->referenced);
	free(s->readers);
	free(s->leases);
	free(s);
}

static void enter_list(struct pool *p, struct store *s)
{
	LIST_INSERT_HEAD(&p->stores, s, link);
	for (unsigned i = 0; i < NR_CLOCKS; i++)
		if (!p->hands[i].store)
			p->hands[i].store = s;
}

static void leave_list(struct pool *p, struct store *s)
{
	struct store *next = LIST_NEXT(s, link);

	LIST_REMOVE(s, link);
	for (unsigned i = 0; i < NR_CLOCKS; i++) {
		struct clock_hand *h = &p->hands[i];

		if (h->store != s)
			continue;
		h->store = next ? next : LIST_FIRST(&p->stores);
		h->block = 0;
	}
}

int store_open(struct pool *p, int image, uint64_t bytes, int memory,
	       int presence, struct store **out)
{
	struct store *s = calloc(1, sizeof(*s));
	uint64_t before = p->stats.present_blocks;
	int err = -EINVAL;

	if (!s) {
		(void)close(image);
		(void)close(memory);
		(void)close(presence);
		return -ENOMEM;
	}
	*s = (struct store){ .pool = p,
			     .image = image,
			     .memory = memory,
			     .bytes = bytes,
			     .nr_blocks = bytes / PAGE_BYTES +
					  (bytes % PAGE_BYTES != 0) };
	if (bytes % 512 == 0 && s->nr_blocks != 0 &&
	    s->nr_blocks <= LEASE_MAX_BLOCKS)
		err = store_map_all(s, presence);
	if (!err)
		err = make_maps(s);
	if (!err)
		err = take_over(s, presence);
	(void)close(presence);
	if (err) {
		p->stats.present_blocks = before;
		store_free(s);
		return err;
	}
	enter_list(p, s);
	*out = s;
	return 0;
}

static uint64_t store_count(const struct bit_tree *t)
{
	uint64_t n = 0, b = bit_tree_next(t, 0);

	for (; b < t->nr; b = bit_tree_next(t, b + 1))
		n++;
	return n;
}

void store_close(struct store *s)
{
	struct store_peer *p;

	if (!s)
		return;
	store_drop_waits(s, NULL);
	store_stop_reads(s);
	for (unsigned i = s->nr_readers; i > 0; i--)
		store_reader_remove(s->readers[i - 1]);
	while ((p = LIST_FIRST(&s->peers)))
		store_peer_remove(p);
	s->pool->stats.present_blocks -= store_count(&s->held);
	s->pool->stats.replica_blocks -= store_count(&s->replicas);
	leave_list(s->pool, s);
	store_free(s);
}

/* --- readers --- */

/* Make room for one more entry in both arrays. */
static int store_grow(struct store *s)
{
	unsigned size = s->readers_size ? 2 * s->readers_size : 4;
	struct store_reader **readers;
	const lease_word **leases;

	if (s->nr_readers < s->readers_size)
		return 0;
	readers = reallocarray(s->readers, size, sizeof(struct store_reader *));
	if (!readers)
		return -ENOMEM;
	s->readers = readers;
	leases = reallocarray(s->leases, size, sizeof(lease_word *));
	if (!leases)
		return -ENOMEM;
	s->leases = leases;
	s->readers_size = size;
	return 0;
}

int store_reader_add(struct store *s, int lease, struct store_reader **out)
{
	struct store_reader *r = calloc(1, sizeof(*r));
	int err = r ? store_grow(s) : -ENOMEM;

	if (!err)
		err = region_attach(&r->lease, lease,
				    lease_map_bytes(s->nr_blocks));
	(void)close(lease);
	if (err) {
		free(r);
		return err;
	}
	r->store = s;
	r->next = UINT64_MAX; /* nothing follows */
	s->readers[s->nr_readers] = r;
	s->leases[s->nr_readers++] = r->lease.base;
	*out = r;
	return 0;
}

void store_reader_remove(struct store_reader *r)
{
	struct store *s;
	unsigned i = 0;

	if (!r)
		return;
	s = r->store;
	store_drop_waits(s, r);
	while (s->readers[i] != r)
		i++;
	s->nr_readers--;
	s->readers[i] = s->readers[s->nr_readers];
	s->leases[i] = s->leases[s->nr_readers];
	region_detach(&r->lease);
	free(r);
}
