/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two stores of one image, as agents of two nodes keep them: one copies from
 * the other one, which evicts meanwhile, lies, or has no room.
 */
#include <pthread.h>
#include <sys/syscall.h>

#include "tests/unit/cache/store_world.h"

#define BLOCKS 150u
#define BYTES  (BLOCKS * PAGE_BYTES - 1536u)

static struct world far, w;
static struct store_peer *peer;
static struct region_view leases; /* as the far agent sees them */
static struct worker *k, *far_k;

/* --- what happens while bytes are copied --- */

static void (*copying)(void);
static size_t fail_after = SIZE_MAX; /* bytes of the next copies */

/* In place of the C library's: what a copy is made by. */
ssize_t pwrite(int fd, const void *buf, size_t bytes, off_t at)
{
	if (copying)
		copying();
	if (fail_after < bytes)
		bytes = fail_after;
	if (bytes == 0) {
		errno = ENOSPC;
		return -1;
	}
	if (fail_after != SIZE_MAX)
		fail_after -= bytes;
	return syscall(SYS_pwrite64, fd, buf, bytes, at);
}

static unsigned looked_for_holes;

/* In place of the C library's: SEEK_HOLE walks to the end of what there is. */
off_t lseek(int fd, off_t at, int whence)
{
	looked_for_holes += whence == SEEK_HOLE;
	return syscall(SYS_lseek, fd, at, whence);
}

/* --- two worlds --- */

static struct pool *pool(uint64_t blocks)
{
	struct pool *p;

	assert_int_equal(pool_create(blocks * PAGE_BYTES, 8, &p), 0);
	return p;
}

static int sealed(int fd)
{
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW),
			 0);
	return fd;
}

static int new_lease(uint64_t bytes)
{
	int fd;

	assert_int_equal(region_prepare("lease", bytes, NODE_AUTO, &fd), 0);
	return fd;
}

/* As control does it: the far agent looks at the map first. */
static void add_peer(void)
{
	size_t bytes = lease_map_bytes(BLOCKS);
	struct store_reader *reader;
	int lease = new_lease(bytes);

	assert_int_equal(region_attach(&leases, lease, bytes), 0);
	assert_int_equal(store_reader_add(far.store, copy_fd(lease), &reader),
			 0);
	assert_int_equal(store_peer_add(w.store, copy_fd(sealed(far.memory)),
					copy_fd(sealed(far.presence)), lease,
					&peer),
			 0);
}

static int start(void **state, uint64_t limit)
{
	(void)state;
	world_init(&far, BYTES, O_DIRECT);
	world_init(&w, BYTES, O_DIRECT);
	world_open(&far, pool(2 * BLOCKS));
	world_open(&w, pool(limit));
	k = world_worker(&w);
	far_k = world_worker(&far);
	add_peer();
	return 0;
}

static int set_up(void **state)
{
	return start(state, 2 * BLOCKS + 2);
}

static int set_up_small(void **state)
{
	return start(state, 20);
}

static int tear_down(void **state)
{
	(void)state;
	copying = NULL;
	fail_after = SIZE_MAX;
	region_detach(&leases);
	world_end(&w);
	world_end(&far);
	return 0;
}

static struct pool_stats stats(void)
{
	struct pool_stats st;

	pool_get_stats(w.pool, &st);
	return st;
}

static void far_fill(uint64_t first, uint32_t nr)
{
	assert_int_equal(world_fill(&far, far_k, first, nr).err, 0);
}

static void replicate(uint64_t first, uint32_t nr)
{
	assert_int_equal(store_replicate(k->reader, first, nr), 0);
	for (uint64_t b = 0; b < BLOCKS; b++)
		assert_false(presence_test(leases.base, b));
}

static uint64_t nr_here(uint64_t first, uint64_t nr)
{
	uint64_t n = 0;

	for (uint64_t b = first; b < first + nr; b++)
		n += presence_test(w.there, b);
	return n;
}

/* --- copies --- */

static void what_is_there_is_copied(void **state)
{
	(void)state;
	far_fill(10, 5);
	far_fill(60, 70);
	far_fill(BLOCKS - 1, 1); /* not whole */
	replicate(0, BLOCKS);
	assert_int_equal(world_check(&w), 76);
	assert_int_equal(nr_here(10, 5) + nr_here(60, 70), 75);
	assert_int_equal(memory_blocks(&w), 76);
	assert_int_equal(stats().replicated_blocks, 76);
	assert_int_equal(stats().replica_blocks, 76);
	assert_int_equal(stats().present_blocks, 76);
	assert_int_equal(stats().read_bytes, 0);
	/* Once more: nothing to do. */
	replicate(0, BLOCKS);
	assert_int_equal(stats().replicated_blocks, 76);
	/* What is between them is read, and no more than that. */
	assert_int_equal(world_fill(&w, k, 8, 10).err, 0);
	assert_int_equal(stats().read_bytes, 5 * PAGE_BYTES);
	assert_int_equal(world_check(&w), 81);
	assert_int_equal(stats().replica_blocks, 76);
}

/* A run takes as long as it is, whatever else the peer has of the image. */
static void the_rest_of_an_image_is_not_looked_at(void **state)
{
	(void)state;
	far_fill(0, BLOCKS);
	looked_for_holes = 0;
	replicate(3, 2);
	assert_int_equal(stats().replicated_blocks, 2);
	assert_int_equal(looked_for_holes, 0);
}

static void ranges_are_checked(void **state)
{
	static const struct {
		uint64_t first;
		uint32_t nr;
	} bad[] = { { 0, 0 },	       { 0, CACHE_FILL_MAX + 1 },
		    { BLOCKS, 1 },     { BLOCKS - 1, 2 },
		    { UINT64_MAX, 1 }, { UINT64_MAX, 2 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(
			store_replicate(k->reader, bad[i].first, bad[i].nr),
			-EINVAL);
}

static unsigned nr_copying;

/* The other agent wants to evict all it has; nothing is published yet. */
static void evict_far(void)
{
	nr_copying++;
	pool_set_limit(far.pool, 0);
	for (uint64_t b = 20; b < 30; b++) {
		assert_true(presence_test(far.there, b));
		assert_true(block_right(&far, b));
		assert_true(presence_test(leases.base, b));
		assert_false(presence_test(w.there, b));
	}
	assert_false(presence_test(far.there, 40));
}

static void leased_while_it_is_copied(void **state)
{
	(void)state;
	far_fill(20, 10);
	far_fill(40, 10);
	copying = evict_far;
	nr_copying = 0;
	replicate(0, 60);
	assert_int_equal(nr_copying, 1);
	assert_int_equal(world_check(&w), 10);
	assert_int_equal(nr_here(20, 10), 10);
	/* Now it may. */
	pool_set_limit(far.pool, 0);
	assert_int_equal(memory_blocks(&far), 0);
	assert_int_equal(world_check(&w), 10);
}

static void several_peers(void **state)
{
	struct store_peer *second;

	(void)state;
	far_fill(0, 10);
	/* Of the same memory, with a map that says something else. */
	assert_int_equal(store_peer_add(w.store, copy_fd(far.memory),
					copy_fd(far.presence),
					new_lease(lease_map_bytes(BLOCKS)),
					&second),
			 0);
	store_peer_remove(peer);
	replicate(0, 5);
	assert_int_equal(nr_here(0, 10), 5);
	store_peer_remove(second);
	store_peer_remove(NULL);
	replicate(5, 5);
	assert_int_equal(nr_here(0, 10), 5);
}

/* What is being read is not copied as well. */
static void reads_under_way(void **state)
{
	static struct fake fake;
	struct heard h = { 0 };

	world_close(&w);
	fake = (struct fake){ .later = true };
	world_open(&w, fake_pool(&fake, BLOCKS, 8));
	(void)state;
	k = world_worker(&w);
	region_detach(&leases);
	add_peer();
	far_fill(0, 20);
	assert_int_equal(store_fill(k->reader, 5, 5, hear, &h, 1), 0);
	replicate(0, 20);
	assert_int_equal(nr_here(0, 20), 15);
	assert_int_equal(nr_here(5, 5), 0);
	fake_finish(&fake, 0);
	pool_ready(w.pool);
	assert_int_equal(h.calls, 1);
	assert_int_equal(world_check(&w), 20);
	assert_int_equal(stats().replica_blocks, 15);
}

/* --- lies --- */

static void a_hole_is_no_block(void **state)
{
	lease_word *map = mmap(NULL, lease_map_bytes(BLOCKS),
			       PROT_READ | PROT_WRITE, MAP_SHARED, far.presence,
			       0);

	(void)state;
	assert_true(map != MAP_FAILED);
	far_fill(0, 5);
	presence_set(map, 5, 2);
	/* Bits that are no blocks: not looked at. */
	presence_set(map, BLOCKS, 100);
	replicate(0, 10);
	assert_int_equal(nr_here(0, BLOCKS), 0);
	assert_int_equal(memory_blocks(&far), 5);
	assert_int_equal(memory_blocks(&w), 0);
	/* Nothing it says counts any more. */
	replicate(0, 4);
	assert_int_equal(nr_here(0, BLOCKS), 0);
	assert_int_equal(stats().replicated_blocks, 0);
	(void)munmap(map, lease_map_bytes(BLOCKS));
}

/* What is beyond the image's end is zero, whatever it says. */
static void a_tail_that_lies(void **state)
{
	uint8_t *tail = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE,
			     MAP_SHARED, far.memory, (BLOCKS - 1) * PAGE_BYTES);

	(void)state;
	assert_true(tail != MAP_FAILED);
	far_fill(BLOCKS - 1, 1);
	memset(tail + PAGE_BYTES - 1536, 0xee, 1536);
	replicate(BLOCKS - 1, 1);
	assert_int_equal(world_check(&w), 1);
	(void)munmap(tail, PAGE_BYTES);
}

static void assert_closed(const int *fds, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(fcntl(fds[i], F_GETFD), -1);
}

enum what { MEMORY, PRESENCE, LEASE };

static void refused(int memory, int presence, int lease, int err)
{
	int fds[] = { memory, presence, lease };
	struct store_peer *p;

	assert_int_equal(store_peer_add(w.store, memory, presence, lease, &p),
			 err);
	assert_closed(fds, 3);
}

static void what_is_no_store(void **state)
{
	size_t map = lease_map_bytes(BLOCKS);
	uint64_t bytes = BLOCKS * PAGE_BYTES;
	int taken = new_lease(map);
	struct region other;

	(void)state;
	/* Shorter, longer, and one that could shrink. */
	refused(new_lease(bytes - PAGE_BYTES), copy_fd(far.presence),
		new_lease(map), -EPROTO);
	refused(new_lease(bytes + PAGE_BYTES), copy_fd(far.presence),
		new_lease(map), -EPROTO);
	refused(copy_fd(w.memory), copy_fd(far.presence), new_lease(map),
		-EPROTO);
	refused(copy_fd(far.memory), copy_fd(w.presence), new_lease(map),
		-EPROTO);
	refused(copy_fd(far.memory), new_lease(2 * map), new_lease(map),
		-EPROTO);
	refused(copy_fd(far.memory), copy_fd(far.presence), new_lease(2 * map),
		-EPROTO);
	assert_int_equal(region_take(&other, copy_fd(taken), map), 0);
	refused(copy_fd(far.memory), copy_fd(far.presence), taken, -EPERM);
	region_destroy(&other);
	far_fill(0, 1);
	replicate(0, 1);
	assert_int_equal(nr_here(0, 1), 1);
}

/* --- room --- */

/* 20 blocks, so 10 of them for replicas. */
static void part_of_the_limit(void **state)
{
	(void)state;
	far_fill(0, 100);
	replicate(0, 30);
	assert_int_equal(stats().replica_blocks, 10);
	assert_int_equal(world_check(&w), 10);
	/* Others take their places. */
	replicate(50, 10);
	assert_int_equal(nr_here(50, 10), 10);
	assert_int_equal(stats().replica_blocks, 10);
	assert_int_equal(stats().evicted_blocks, 10);
	assert_int_equal(memory_blocks(&w), 10);
	/* But not of what is used. */
	assert_int_equal(lease_take(k->lease.base, w.there, 50, 8), 8);
	replicate(70, 10);
	assert_int_equal(nr_here(50, 8), 8);
	assert_int_equal(nr_here(70, 10), 2);
	assert_int_equal(stats().replica_blocks, 10);
	assert_int_equal(world_check(&w), 10);
	lease_drop(k->lease.base, 50, 8);
}

/* What was read from the image is not given up for a copy. */
static void first_copies_stay(void **state)
{
	(void)state;
	far_fill(0, 100);
	assert_int_equal(world_fill(&w, k, 100, 17).err, 0);
	replicate(0, 8);
	assert_int_equal(nr_here(0, 8), 3);
	assert_int_equal(nr_here(100, 17), 17);
	assert_int_equal(world_check(&w), 20);
	/* Copies are given up for what is read, as others are. */
	for (unsigned i = 0; i < 30; i++)
		assert_int_equal(world_fill(&w, k, 100 + 7 * i % 20, 1).err, 0);
	assert_int_equal(stats().replica_blocks, 0);
	assert_int_equal(world_check(&w), 20);
	replicate(0, 8);
	assert_int_equal(nr_here(100, 20), 20);
	assert_int_equal(nr_here(0, 8), 0);
}

static void no_limit_yet(void **state)
{
	struct pool *p;

	(void)state;
	far_fill(0, 10);
	world_close(&w);
	assert_int_equal(pool_create(0, 8, &p), 0);
	world_open(&w, p);
	k = world_worker(&w);
	region_detach(&leases);
	add_peer();
	replicate(0, 10);
	assert_int_equal(nr_here(0, 10), 0);
	pool_set_limit(w.pool, MIB(1));
	replicate(0, 10);
	assert_int_equal(nr_here(0, 10), 10);
	store_close(w.store);
	assert_int_equal(stats().present_blocks, 0);
	assert_int_equal(stats().replica_blocks, 0);
}

static void no_memory_left(void **state)
{
	(void)state;
	far_fill(0, 20);
	fail_after = 3 * PAGE_BYTES + 100;
	replicate(0, 20);
	assert_int_equal(world_check(&w), 3);
	assert_int_equal(nr_here(0, 3), 3);
	assert_int_equal(memory_blocks(&w), 3);
	fail_after = 0;
	replicate(0, 20);
	assert_int_equal(world_check(&w), 3);
	fail_after = SIZE_MAX;
	replicate(0, 20);
	assert_int_equal(world_check(&w), 20);
}

/* --- both at the same time --- */

static _Atomic(bool) over;
static _Atomic(unsigned) rounds;

/* The other agent: fills and evicts all the time. */
static void *be_far(void *arg)
{
	unsigned seed = 1;

	(void)arg;
	while (!atomic_load(&over)) {
		struct heard h = { 0 };
		uint64_t first = (uint64_t)rand_r(&seed) % (BLOCKS - 16);

		if (store_fill(far_k->reader, first, 16, hear, &h, 0))
			break;
		while (!h.calls)
			pool_ready(far.pool);
		pool_set_limit(far.pool,
			       (uint64_t)(rand_r(&seed) % 30) * PAGE_BYTES);
		pool_set_limit(far.pool, 60 * PAGE_BYTES);
		atomic_fetch_add(&rounds, 1);
	}
	return NULL;
}

static void the_other_one_evicts_meanwhile(void **state)
{
	uint64_t end = wait_end_ns();
	pthread_t thread;

	(void)state;
	atomic_store(&over, false);
	atomic_store(&rounds, 0);
	srandom(5);
	assert_int_equal(pthread_create(&thread, NULL, be_far, NULL), 0);
	while ((stats().replicated_blocks < 20000 ||
		atomic_load(&rounds) < 500) &&
	       clock_now_ns() < end) {
		uint64_t first = (uint64_t)random() % (BLOCKS - 20);

		replicate(first, 20);
		for (uint64_t b = first; b < first + 20; b++)
			if (presence_test(w.there, b) && !block_right(&w, b))
				fail_msg("block %u is wrong", (unsigned)b);
		if (random() % 4 == 0)
			pool_set_limit(w.pool, 0);
		pool_set_limit(w.pool, (2 * BLOCKS + 2) * PAGE_BYTES);
	}
	atomic_store(&over, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	print_message("# %u blocks copied while %u times some were evicted\n",
		      (unsigned)stats().replicated_blocks,
		      atomic_load(&rounds));
	assert_false(peer->lies);
	assert_true(stats().replicated_blocks >= 20000);
	assert_true(atomic_load(&rounds) >= 500);
}

#define TEST(f)	 cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define SMALL(f) cmocka_unit_test_setup_teardown(f, set_up_small, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_there_is_copied),
		TEST(ranges_are_checked),
		TEST(the_rest_of_an_image_is_not_looked_at),
		TEST(leased_while_it_is_copied),
		TEST(several_peers),
		TEST(reads_under_way),
		TEST(a_hole_is_no_block),
		TEST(a_tail_that_lies),
		TEST(what_is_no_store),
		SMALL(part_of_the_limit),
		SMALL(first_copies_stay),
		TEST(no_limit_yet),
		TEST(no_memory_left),
		TEST(the_other_one_evicts_meanwhile),
	};

	return cmocka_run_group_tests_name("store_peer", tests, NULL, NULL);
}
