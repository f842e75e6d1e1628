/* SPDX-License-Identifier: BSD-2-Clause */
/* What is attached, what is found there, and how long it stays. */
#include <errno.h>

#include "tests/unit/cache/cache_agent.h"

#define BLOCKS 2000u
#define BYTES  (BLOCKS * PAGE_BYTES - 1536u)

struct bench {
	struct cache *c;
	struct agent_store s[3]; /* of nodes 0, 1, 2 */
};

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	assert_int_equal(cache_create(NULL, &b->c), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(b->s); i++)
		agent_store_create(&b->s[i], i + 1, BYTES);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	cache_destroy(b->c);
	cache_destroy(NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(b->s); i++)
		agent_store_destroy(&b->s[i]);
	free(b);
	return 0;
}

static unsigned look(struct bench *b, uint64_t first, unsigned nr,
		     const uint8_t **page)
{
	return cache_lookup(b->c, AGENT_DISK, first, nr, page);
}

static void put(struct bench *b, const uint8_t *page, unsigned nr)
{
	cache_put(b->c, AGENT_DISK, page, nr);
}

static void runs_are_found_and_kept(void **state)
{
	struct bench *b = *state;
	const uint8_t *page = NULL;

	assert_int_equal(agent_attach(&b->s[0], b->c, 0), 0);
	assert_int_equal(look(b, 60, 10, &page), 0);
	assert_null(page);
	agent_fill(&b->s[0], 60, 10);
	assert_int_equal(look(b, 59, 3, &page), 0);
	assert_int_equal(look(b, 60, 100, &page), 10);
	assert_bytes(page, 1, 60 * PAGE_BYTES, 10 * PAGE_BYTES);
	assert_int_equal(agent_nr_leased(&b->s[0]), 10);
	assert_false(agent_evict(&b->s[0], 69));
	put(b, page, 9);
	assert_int_equal(agent_nr_leased(&b->s[0]), 1);
	assert_true(agent_evict(&b->s[0], 60));
	assert_false(agent_evict(&b->s[0], 69));
	put(b, page + 9 * PAGE_BYTES, 1);
	assert_true(agent_evict(&b->s[0], 69));
	assert_int_equal(look(b, 61, 100, &page), 8);
	put(b, page, 8);
	assert_int_equal(agent_nr_leased(&b->s[0]), 0);
}

/* Each user counts; a run goes through what is used already and what not. */
static void uses_are_counted(void **state)
{
	struct bench *b = *state;
	const uint8_t *first, *second, *third;

	assert_int_equal(agent_attach(&b->s[0], b->c, 0), 0);
	agent_fill(&b->s[0], 0, 200);
	assert_int_equal(look(b, 100, 20, &first), 20);
	assert_int_equal(look(b, 90, 40, &second), 40);
	assert_int_equal(look(b, 0, 150, &third), 150);
	assert_int_equal(agent_nr_leased(&b->s[0]), 150);
	put(b, second, 40);
	assert_int_equal(agent_nr_leased(&b->s[0]), 150);
	put(b, third, 150);
	assert_int_equal(agent_nr_leased(&b->s[0]), 20);
	assert_false(agent_evict(&b->s[0], 100));
	assert_false(agent_evict(&b->s[0], 119));
	assert_true(agent_evict(&b->s[0], 120));
	put(b, first, 20);
	assert_int_equal(agent_nr_leased(&b->s[0]), 0);
}

static void images_end_where_they_do(void **state)
{
	struct bench *b = *state;
	const uint8_t *page;

	assert_int_equal(look(b, 0, 1, &page), 0);
	assert_int_equal(agent_attach(&b->s[0], b->c, 0), 0);
	agent_fill(&b->s[0], 0, BLOCKS);
	assert_int_equal(look(b, BLOCKS - 2, 100, &page), 2);
	put(b, page, 2);
	/* An agent that says there is more. */
	presence_set(b->s[0].presence.base, BLOCKS, 100);
	assert_int_equal(look(b, BLOCKS - 2, 100, &page), 2);
	put(b, page, 2);
	assert_int_equal(look(b, BLOCKS, 1, &page), 0);
	assert_int_equal(look(b, UINT64_MAX / PAGE_BYTES, 5, &page), 0);
	assert_int_equal(look(b, UINT64_MAX, 5, &page), 0);
	assert_int_equal(look(b, 0, BLOCKS, &page), LEASE_RUN_MAX);
	put(b, page, LEASE_RUN_MAX);
	assert_int_equal(cache_lookup(b->c, VM_MAX_CACHED, 0, 1, &page), 0);
	assert_int_equal(cache_lookup(b->c, AGENT_DISK - 1, 0, 1, &page), 0);
}

/* Which node a lookup of block 7 is served by. */
static unsigned where(struct bench *b)
{
	const uint8_t *page;
	unsigned w = 0;

	assert_int_equal(look(b, 7, 1, &page), 1);
	for (w = 1; w < 4; w++)
		if (*page == agent_byte(w, 7 * PAGE_BYTES))
			break;
	put(b, page, 1);
	return w;
}

static void home_comes_first(void **state)
{
	struct bench *b = *state;

	for (unsigned i = 0; i < 3; i++) {
		agent_fill(&b->s[i], 7, 1);
		assert_int_equal(agent_attach(&b->s[i], b->c, (nodeid_t)i), 0);
	}
	assert_int_equal(where(b), 1);
	cache_set_home(b->c, 2);
	assert_int_equal(where(b), 3);
	assert_true(agent_evict(&b->s[2], 7));
	assert_int_equal(where(b), 1);
	assert_true(agent_evict(&b->s[0], 7));
	assert_int_equal(where(b), 2);
	agent_fill(&b->s[2], 7, 1);
	assert_int_equal(where(b), 3);
	cache_set_home(b->c, 9); /* none is attached there */
	assert_int_equal(where(b), 3);
}

/* Home is known before anything of it is attached. */
static void home_is_known_before(void **state)
{
	struct bench *b = *state;

	cache_set_home(b->c, 1);
	for (unsigned i = 0; i < 3; i++) {
		agent_fill(&b->s[i], 7, 1);
		assert_int_equal(agent_attach(&b->s[i], b->c, (nodeid_t)i), 0);
	}
	assert_int_equal(where(b), 2);
}

/* An agent came back: the same memory and presence, another lease map. */
static void attached_again(void **state)
{
	struct bench *b = *state;
	const uint8_t *old, *new;

	assert_int_equal(agent_attach(&b->s[0], b->c, 0), 0);
	agent_fill(&b->s[0], 5, 2);
	assert_int_equal(look(b, 5, 2, &old), 2);
	assert_int_equal(agent_attach(&b->s[0], b->c, 0), 0);
	assert_int_equal(look(b, 5, 1, &new), 1);
	assert_ptr_not_equal(old, new);
	assert_int_equal(agent_nr_leased(&b->s[0]), 3);
	put(b, new, 1);
	/* Used by the one that retired only. */
	assert_false(agent_evict(&b->s[0], 5));
	assert_bytes(old, 1, 5 * PAGE_BYTES, 2 * PAGE_BYTES);
	put(b, old, 2);
	assert_true(agent_evict(&b->s[0], 5));
	/* It goes now: nothing is at its place any more. */
	cache_ready(b->c);
	assert_int_equal(
		msync((void *)((uintptr_t)old & ~4095ul), PAGE_BYTES, MS_ASYNC),
		-1);
	assert_int_equal(errno, ENOMEM);
}

/* A descriptor that is nobody's any more? */
static void assert_closed(const int *fds, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(fcntl(fds[i], F_GETFD), -1);
}

enum what { MEMORY, PRESENCE, LEASE };

/* As cache_attach() wants them, for an image of @bytes. */
static void good_fds(struct bench *b, uint64_t bytes, int fds[3])
{
	size_t map = lease_map_bytes(align_up(bytes, PAGE_BYTES) / PAGE_BYTES);

	assert_int_equal(region_prepare("m", align_up(bytes, PAGE_BYTES),
					NODE_AUTO, &fds[MEMORY]),
			 0);
	assert_int_equal(region_prepare("l", map, NODE_AUTO, &fds[LEASE]), 0);
	assert_int_equal(region_reader_fd(b->s[0].presence.fd, &fds[PRESENCE]),
			 0);
}

static void refused(struct bench *b, const int fds[3], unsigned disk,
		    nodeid_t node, uint64_t bytes, int err)
{
	assert_int_equal(cache_attach(b->c, disk, node, bytes, fds[MEMORY],
				      fds[PRESENCE], fds[LEASE]),
			 err);
	assert_closed(fds, 3);
}

static void bad_attachments_are_refused(void **state)
{
	struct bench *b = *state;
	struct region other;
	int fds[3], spare;

	good_fds(b, BYTES, fds);
	refused(b, fds, VM_MAX_CACHED, 0, BYTES, -EINVAL);
	good_fds(b, BYTES, fds);
	refused(b, fds, 0, -1, BYTES, -EINVAL);
	good_fds(b, BYTES, fds);
	refused(b, fds, 0, MAX_NODES, BYTES, -EINVAL);
	good_fds(b, BYTES, fds);
	refused(b, fds, 0, 0, 0, -EINVAL);
	good_fds(b, BYTES, fds);
	refused(b, fds, 0, 0, BYTES + 1, -EINVAL);
	good_fds(b, BYTES, fds);
	refused(b, fds, 0, 0, BYTES + 4096, -EPROTO); /* memory is smaller */
	good_fds(b, BYTES, fds);
	(void)close(fds[MEMORY]);
	fds[MEMORY] = memfd_create("could shrink", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fds[MEMORY], BLOCKS * PAGE_BYTES), 0);
	refused(b, fds, 0, 0, BYTES, -EPROTO);
	good_fds(b, BYTES, fds);
	spare = fcntl(fds[LEASE], F_DUPFD_CLOEXEC, 0);
	assert_int_equal(region_take(&other, spare, PAGE_BYTES), 0);
	refused(b, fds, 0, 0, BYTES, -EPERM); /* has another writer */
	region_destroy(&other);
	/* Another image than the disk's on another node. */
	assert_int_equal(agent_attach(&b->s[0], b->c, 0), 0);
	good_fds(b, BYTES - 512, fds);
	refused(b, fds, AGENT_DISK, 1, BYTES - 512, -EINVAL);
}

/* Without a pmap nothing has a number; foreign pages stay where they are. */
static void foreign_pages_stay(void **state)
{
	struct bench *b = *state;
	uint64_t nr = 5;

	assert_int_equal(agent_attach(&b->s[0], b->c, 0), 0);
	assert_int_equal(cache_rehome(b->c, 17, 0, &nr), 17);
	assert_int_equal(cache_rehome(b->c, PMAP_MAX_SOURCES, 0, &nr),
			 PMAP_MAX_SOURCES);
	assert_int_equal(nr, 5);
}

static void random_uses_and_evictions(void **state)
{
	enum { HELD = 64 };
	struct {
		const uint8_t *page;
		uint64_t first;
		unsigned nr;
	} held[HELD] = { 0 };
	struct bench *b = *state;
	struct agent_store *s = &b->s[1];

	srandom(7);
	assert_int_equal(agent_attach(s, b->c, 1), 0);
	for (unsigned i = 0; i < 20000; i++) {
		unsigned h = (unsigned)random() % HELD;
		uint64_t first = (uint64_t)random() % 300;
		unsigned nr = 1 + (unsigned)random() % 40;

		if (random() % 3 == 0)
			agent_fill(s, first, nr);
		else if (random() % 2)
			(void)agent_evict(s, first);
		if (held[h].nr) {
			assert_int_equal(
				*held[h].page,
				agent_byte(2, held[h].first * PAGE_BYTES));
			assert_int_equal(
				held[h].page[held[h].nr * PAGE_BYTES - 1],
				agent_byte(2, (held[h].first + held[h].nr) *
							      PAGE_BYTES -
						      1));
			put(b, held[h].page, held[h].nr);
		}
		held[h].first = first;
		held[h].nr = look(b, first, nr, &held[h].page);
	}
	for (unsigned h = 0; h < HELD; h++)
		if (held[h].nr)
			put(b, held[h].page, held[h].nr);
	assert_int_equal(agent_nr_leased(s), 0);
}

static unsigned nr_open(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void nothing_is_left_open(void **state)
{
	struct bench *b = *state;
	unsigned before = nr_open();
	const uint8_t *page;
	struct cache *c;

	assert_int_equal(cache_create(NULL, &c), 0);
	for (unsigned i = 0; i < 3; i++) /* the first ones retire */
		assert_int_equal(agent_attach(&b->s[0], c, 0), 0);
	agent_fill(&b->s[0], 0, 1);
	assert_int_equal(cache_lookup(c, AGENT_DISK, 0, 1, &page), 1);
	assert_int_equal(agent_attach(&b->s[0], c, 0), 0);
	cache_destroy(c);
	assert_int_equal(nr_open(), before);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(runs_are_found_and_kept),	   TEST(uses_are_counted),
		TEST(images_end_where_they_do),	   TEST(home_comes_first),
		TEST(home_is_known_before),	   TEST(attached_again),
		TEST(bad_attachments_are_refused), TEST(foreign_pages_stay),
		TEST(random_uses_and_evictions),   TEST(nothing_is_left_open),
	};

	return cmocka_run_group_tests_name("cache", tests, NULL, NULL);
}
