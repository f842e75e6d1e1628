/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A worker's references: which it finds for what its guest sends, and what it shows
 * for those that come, from honest peers and from hostile ones.
 */
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "tests/unit/cache/cache_agent.h"
#include "tests/unit/worker/merge_host.h"

#define BLOCKS 2000u
#define PAGES  1500u
#define WHERE  1u
#define IMAGE  0xabcdefull
#define OTHER  0x123456ull /* no such image here */
#define NR(n)  ((uint64_t)(n)*PAGE_BYTES)
#define MAYBE  1000u /* steps that no test needs */

static struct machine m;
static struct cache *c;
static struct agent_store store;
static struct figures figures;
static struct refs *r = &m.refs;
static int ram, pagemap;

static bool rest(void *arg)
{
	(void)arg;
	return merge_disks_rest;
}

static void start_with(uint64_t budget)
{
	memset(&m, 0, sizeof(m));
	ram = memfd_create("ram", MFD_CLOEXEC);
	pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	assert_true(ram >= 0 && pagemap >= 0);
	assert_int_equal(ftruncate(ram, NR(PAGES)), 0);
	assert_int_equal(ram_view_create(&m.vm.ram, ram, NR(PAGES)), 0);
	assert_int_equal(pmap_create(&m.vm.ram, budget, &m.vm.pmap), 0);
	m.vm.figures = &figures;
	assert_int_equal(cache_create(m.vm.pmap, &c), 0);
	agent_store_create(&store, WHERE, NR(BLOCKS));
	cache_set_home(c, 0);
	assert_int_equal(agent_attach(&store, c, 0), 0);
	cache_set_image(c, AGENT_DISK, IMAGE);
	agent_fill(&store, 0, BLOCKS);
	assert_int_equal(refs_create(r, &m.vm, c, pagemap, rest, NULL), 0);
	merge_parks = 0;
	merge_disks_rest = true;
	merge_when_parked = NULL;
}

static int setup(void **state)
{
	(void)state;
	start_with(UINT64_MAX);
	return 0;
}

static int setup_small(void **state)
{
	(void)state;
	start_with(20);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pmap_overwrite(m.vm.pmap, m.vm.ram.hva, NR(PAGES));
	assert_int_equal(agent_nr_leased(&store), 0);
	(void)close(r->timer.fd);
	if (r->ring)
		(void)munmap(r->ring,
			     REFS_MAX * sizeof(struct ref) + REFS_BUCKETS * 4u);
	cache_destroy(c);
	pmap_destroy(m.vm.pmap);
	ram_view_destroy(&m.vm.ram);
	agent_store_destroy(&store);
	(void)close(ram);
	(void)close(pagemap);
	return 0;
}

static uint8_t *page(uint64_t i)
{
	return m.vm.ram.hva + NR(i);
}

/* As the guest does it: a copy, in a page of its own. */
static void copy(uint64_t to, uint64_t block, unsigned nr)
{
	memcpy(page(to), store.base + NR(block), NR(nr));
}

static void come(uint64_t image, uint64_t first, unsigned nr)
{
	struct vnet_refs refs = { .image = 0 };

	for (unsigned i = 0; i < nr; i++) {
		if (vnet_refs_add(&refs, image, first + i))
			continue;
		refs_ops.got(r, &refs);
		refs = (struct vnet_refs){ .image = 0 };
		assert_true(vnet_refs_add(&refs, image, first + i));
	}
	refs_ops.got(r, &refs);
}

/* The timer expires now. */
static void step(void)
{
	const struct itimerspec now = { .it_value = { .tv_nsec = 1 } };

	assert_int_equal(timerfd_settime(r->timer.fd, 0, &now, NULL), 0);
	assert_true(wait_readable(r->timer.fd));
	r->timer.ready(&r->timer, EPOLLIN);
}

/* One pass, from its beginning. */
static void pass(void)
{
	assert_int_equal(r->state, REFS_WAITS);
	step();
	for (unsigned i = 0; i < MAYBE && r->state > REFS_WAITS; i++)
		step();
	assert_true(r->state <= REFS_WAITS);
}

static bool is_shown(uint64_t i, uint64_t block)
{
	uint64_t at = i, index = 0;

	return pmap_next_shown(m.vm.pmap, &at, i + 1, &index) &&
	       index == block &&
	       memcmp(page(i), store.base + NR(block), PAGE_BYTES) == 0;
}

static bool has_memory(uint64_t i)
{
	return lseek(ram, (off_t)NR(i), SEEK_DATA) == (off_t)NR(i);
}

static void what_was_read_is_shown(void **state)
{
	(void)state;
	copy(10, 100, 60); /* in order */
	copy(200, 777, 1); /* and alone */
	copy(1400, 160, 5);
	come(IMAGE, 100, 65);
	come(IMAGE, 777, 1);
	assert_int_equal(r->stats.received, 66);
	pass();
	for (unsigned i = 0; i < 60; i++) {
		assert_true(is_shown(10 + i, 100 + i));
		assert_false(has_memory(10 + i));
	}
	for (unsigned i = 0; i < 5; i++)
		assert_true(is_shown(1400 + i, 160 + i));
	assert_true(is_shown(200, 777));
	assert_int_equal(r->stats.merged, 66);
	assert_int_equal(agent_nr_leased(&store), 66);
	assert_true(merge_parks >= 1);
	/* All were found: nothing is left to do, and nothing takes memory. */
	assert_int_equal(r->state, REFS_IDLE);
	assert_null(r->ring);
	assert_int_equal(r->stats.wrong + r->stats.dropped, 0);
	/* The guest writes: to a copy of its own. */
	page(12)[0] ^= 1;
	assert_int_equal(store.base[NR(102)] ^ 1, page(12)[0]);
	refs_turned(r);
	assert_int_equal(figures.cache.words[FIGURES_REFS_MERGED], 66);
	assert_int_equal(figures.cache.words[FIGURES_REFS_RECEIVED], 66);
}

/* Late, after the first pass; and pages that hold the same, but some only. */
static void a_copy_may_be_late(void **state)
{
	(void)state;
	come(IMAGE, 5, 2);
	pass();
	assert_int_equal(r->state, REFS_WAITS);
	copy(10, 5, 1);
	copy(20, 5, 1);
	copy(1450, 6, 1);
	pass();
	assert_true(is_shown(10, 5) && is_shown(20, 5) && is_shown(1450, 6));
	assert_int_equal(r->state, REFS_IDLE);
	/* One block is not shown everywhere. */
	for (unsigned i = 0; i < 50; i++)
		copy(100 + 2 * i, 9, 1);
	come(IMAGE, 9, 1);
	pass();
	assert_int_equal(r->stats.merged, 3 + REFS_HITS);
}

/*
 * A peer that says what is not so: it costs looks, and later ones, and the guest is
 * not even stopped.
 */
static void wrong_references_show_nothing(void **state)
{
	unsigned passes = 0;

	(void)state;
	copy(10, 100, 3);
	page(10)[700] ^= 1; /* outside of what is sampled */
	page(11)[0] ^= 1;
	memset(store.base + NR(300), 0, PAGE_BYTES);
	memset(page(30), 0, PAGE_BYTES);
	assert_true(agent_evict(&store, 102)); /* page 12 has its bytes */
	come(IMAGE, 100, 3);
	come(IMAGE, 300, 1);	       /* zeroes */
	come(IMAGE, BLOCKS - 1, 2);    /* beyond the end */
	come(IMAGE, VNET_REF_LAST, 1); /* no number of a block */
	come(OTHER, 100, 20);	       /* no image of this worker */
	assert_int_equal(r->stats.received, 27);
	assert_int_equal(r->stats.dropped, 21);
	assert_int_equal(r->nr, 6);
	while (r->state != REFS_IDLE) {
		pass();
		passes++;
		assert_true(passes <= REFS_TRIES);
	}
	assert_int_equal(passes, REFS_TRIES);
	assert_int_equal(r->stats.merged, 0);
	assert_int_equal(merge_parks, 0);
	assert_int_equal(agent_nr_leased(&store), 0);
	/* 100, 101 and the last block are there, and equal to no page. */
	assert_int_equal(r->stats.wrong, 3);
	assert_int_equal(r->stats.dropped, 24);
	assert_null(r->ring);
	/* The next one waits: such passes come more and more rarely. */
	assert_int_equal(r->wait_ms, REFS_WAIT_MS << REFS_TRIES);
	for (unsigned i = 0; i < 10; i++) {
		come(IMAGE, 100, 1);
		pass();
	}
	assert_int_equal(r->wait_ms, REFS_WAIT_MAX_MS);
	/* And right ones set it back. */
	copy(40, 500, 1);
	come(IMAGE, 500, 1);
	pass();
	assert_true(is_shown(40, 500));
	assert_int_equal(r->wait_ms, REFS_WAIT_MS);
}

/* What no cache has is not looked for in all of memory. */
static void absent_blocks_cost_no_scan(void **state)
{
	(void)state;
	for (uint64_t b = 100; b < 110; b++)
		assert_true(agent_evict(&store, b));
	come(IMAGE, 100, 10);
	come(IMAGE, BLOCKS, 10);
	step();
	assert_int_equal(r->state, REFS_WAITS);
	assert_int_equal(r->nr, 20);
	while (r->state != REFS_IDLE)
		step();
	assert_int_equal(r->stats.dropped, 20);
}

/* As by retransmissions: one of them is looked for. */
static void a_block_is_looked_for_once(void **state)
{
	unsigned n = 0;

	(void)state;
	copy(10, 5, 1);
	for (unsigned i = 0; i < 20; i++)
		come(IMAGE, 5, 1);
	while (r->state != REFS_SCANS)
		step();
	for (unsigned i = 0; i < r->nr; i++)
		n += r->ring[i].sample != 0;
	assert_int_equal(n, 1);
	while (r->state != REFS_IDLE)
		step();
	assert_int_equal(r->stats.merged, 1);
	assert_int_equal(r->stats.dropped, 19);
}

/* Without end: there is a bound, and what came last is found. */
static void a_flood_has_a_bound(void **state)
{
	(void)state;
	copy(10, 1500, 8);
	for (unsigned i = 0; i < 2 * REFS_MAX / 1000; i++) {
		come(IMAGE, 0, 1000);
		assert_true(r->nr <= REFS_MAX);
	}
	come(IMAGE, 1500, 8);
	assert_int_equal(r->nr, REFS_MAX);
	assert_int_equal(r->stats.received, r->stats.dropped + r->nr);
	/* In the middle of a pass, too. */
	step();
	step();
	come(IMAGE, 0, 1000);
	assert_int_equal(r->nr, REFS_MAX);
	for (unsigned i = 0; i < MAYBE && r->state > REFS_WAITS; i++)
		step();
	for (unsigned i = 0; i < 8; i++)
		assert_true(is_shown(10 + i, 1500 + i));
	while (r->state != REFS_IDLE)
		pass();
	assert_int_equal(r->stats.merged, 8);
	assert_int_equal(r->nr, 0);
	assert_null(r->ring);
}

static void change_page(void *arg)
{
	uint8_t *p = arg;

	p[PAGE_BYTES - 100] ^= 1;
}

/* What the guest writes before it is stopped stays. */
static void what_changes_is_not_shown(void **state)
{
	uint8_t was;

	(void)state;
	copy(10, 100, 8);
	was = page(13)[PAGE_BYTES - 100];
	merge_when_parked = change_page;
	merge_when_parked_arg = page(13);
	come(IMAGE, 100, 8);
	pass();
	assert_true(is_shown(12, 102));
	assert_false(is_shown(13, 103));
	assert_int_equal(page(13)[PAGE_BYTES - 100], was ^ 1);
	for (unsigned i = 0; i < 8; i++)
		if (is_shown(10 + i, 100 + i))
			assert_int_equal(store.base[NR(100 + i)],
					 page(10 + i)[0]);
}

/* A request of a disk may write to any page. */
static void disks_have_to_rest(void **state)
{
	(void)state;
	copy(10, 100, 4);
	merge_disks_rest = false;
	come(IMAGE, 100, 4);
	pass();
	assert_int_equal(merge_parks, 0);
	assert_int_equal(r->stats.merged, 0);
	merge_disks_rest = true;
	pass();
	assert_int_equal(r->stats.merged, 4);
}

/* Half of the mappings are for the disks. */
static void mappings_have_a_budget(void **state)
{
	struct pmap_stats s;

	(void)state;
	for (unsigned i = 0; i < 50; i++)
		copy(10 + 2 * i, 3 * i, 1);
	come(IMAGE, 0, 150);
	while (r->state != REFS_IDLE)
		pass();
	pmap_get_stats(m.vm.pmap, &s);
	assert_true(r->stats.merged > 0);
	assert_true(s.mappings <= s.budget / 2 + 2);
	assert_int_equal(s.refused, 0);
	/* The guest is not stopped for what would not be shown. */
	merge_parks = 0;
	come(IMAGE, 0, 150);
	pass();
	assert_int_equal(merge_parks, 0);
}

/* --- sending --- */

static void show(uint64_t to, uint64_t block, unsigned nr)
{
	struct cache_ref ref;

	assert_int_equal(cache_take_ref(c, AGENT_DISK, block, nr, &ref), nr);
	assert_int_equal(pmap_show(m.vm.pmap, page(to), nr, ref.id, block), 0);
}

static void shown_pages_are_named(void **state)
{
	struct vnet_refs refs = { .image = 0 };
	uint8_t outside[100];
	struct iovec iov[] = {
		{ page(5), 90 },		 /* headers: RAM */
		{ page(20), NR(4) },		 /* whole, and next to it RAM */
		{ page(31) - 100, 100 },	 /* too little of one */
		{ page(40) + 1000, PAGE_BYTES }, /* most of one, and less */
		{ outside, sizeof(outside) },	 /* no guest memory */
		{ page(PAGES - 1), NR(2) },	 /* past its end */
	};

	(void)state;
	show(20, 100, 3);
	show(30, 500, 1);
	show(40, 601, 1);
	show(41, 700, 1);
	show(PAGES - 1, 900, 1);
	refs_ops.find(r, iov, ARRAY_SIZE(iov), 12, &refs);
	assert_int_equal(refs.image, IMAGE);
	assert_int_equal(refs.runs[0], 100 << 8 | 3);
	assert_int_equal(refs.runs[1], 601 << 8 | 1);
	assert_int_equal(refs.runs[2], 0);
	assert_int_equal(r->stats.sent, 4);
	/* What is skipped goes over buffers, and is in no frame. */
	refs = (struct vnet_refs){ .image = 0 };
	refs_ops.find(r, iov, 2, 90 + NR(1), &refs);
	assert_int_equal(refs.runs[0], 101 << 8 | 2);
	assert_int_equal(refs.runs[1], 0);
	/* Known to be written; and of an image without a number. */
	page(22)[0] ^= 1;
	assert_int_equal(pmap_sweep(m.vm.pmap, pagemap, PAGES, NULL), 1);
	refs = (struct vnet_refs){ .image = 0 };
	refs_ops.find(r, iov, 2, 12, &refs);
	assert_int_equal(refs.runs[0], 100 << 8 | 2);
	cache_set_image(c, AGENT_DISK, 0);
	refs = (struct vnet_refs){ .image = 0 };
	refs_ops.find(r, iov, 2, 12, &refs);
	assert_int_equal(refs.image, 0);
}

/* From the sender's page to the receiver's, of one image: as two guests do it. */
static void sent_is_what_is_merged(void **state)
{
	struct vnet_refs refs = { .image = 0 };
	struct iovec iov = { page(20), NR(16) };

	(void)state;
	show(20, 100, 16);
	refs_ops.find(r, &iov, 1, 0, &refs);
	memcpy(page(800), page(20), NR(16));
	refs_ops.got(r, &refs);
	pass();
	for (unsigned i = 0; i < 16; i++)
		assert_true(is_shown(800 + i, 100 + i));
	assert_int_equal(r->stats.merged, r->stats.sent);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_read_is_shown),
		TEST(a_copy_may_be_late),
		TEST(wrong_references_show_nothing),
		TEST(absent_blocks_cost_no_scan),
		TEST(a_block_is_looked_for_once),
		TEST(a_flood_has_a_bound),
		TEST(what_changes_is_not_shown),
		TEST(disks_have_to_rest),
		cmocka_unit_test_setup_teardown(mappings_have_a_budget,
						setup_small, teardown),
		TEST(shown_pages_are_named),
		TEST(sent_is_what_is_merged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
