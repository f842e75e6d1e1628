/* SPDX-License-Identifier: BSD-2-Clause */
/* Hits that are shown in guest memory instead of copied; moving house. */
#include <errno.h>

#include "tests/unit/cache/cache_agent.h"

#define BLOCKS 600u
#define BYTES  (BLOCKS * PAGE_BYTES - 1536u)
#define PAGES  512u
#define BLK(n) ((uint64_t)(n)*PAGE_BYTES)
#define NEAR   1u
#define FAR    2u
#define ALL    1000u /* budget: no limit */

struct bench {
	int ram, file, pagemap;
	struct ram_view view;
	struct pmap *pm;
	struct cache *c;
	struct agent_store near, far; /* nodes 0 (home) and 1 */
	struct agent_link link;
	struct io_fd plain;
	struct io *io;
};

static struct bench *make(uint64_t budget)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->ram = memfd_create("ram", MFD_CLOEXEC);
	b->file = memfd_create("file", MFD_CLOEXEC);
	b->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	assert_true(b->pagemap >= 0);
	agent_write_file(b->file, IN_FILE, BYTES);
	assert_int_equal(ftruncate(b->ram, BLK(PAGES)), 0);
	assert_int_equal(ram_view_create(&b->view, b->ram, BLK(PAGES)), 0);
	assert_int_equal(pmap_create(&b->view, budget, &b->pm), 0);
	assert_int_equal(cache_create(b->pm, &b->c), 0);
	b->c->patience_ns = LONG_NS;
	b->c->run_min = 1;
	agent_store_create(&b->near, NEAR, BYTES);
	agent_store_create(&b->far, FAR, BYTES);
	cache_set_home(b->c, 0);
	assert_int_equal(agent_attach(&b->near, b->c, 0), 0);
	assert_int_equal(agent_attach(&b->far, b->c, 1), 0);
	assert_int_equal(agent_link_create(&b->link, b->c), 0);
	io_fd_init(&b->plain, b->file, b->file);
	assert_int_equal(cache_io(b->c, AGENT_DISK, &b->plain.io, &b->io), 0);
	return b;
}

static int setup(void **state)
{
	*state = make(ALL);
	return 0;
}

static int setup_small(void **state)
{
	*state = make(4);
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	/* Nothing is shown: nothing is leased. */
	pmap_overwrite(b->pm, b->view.hva, BLK(PAGES));
	assert_int_equal(agent_nr_leased(&b->near), 0);
	assert_int_equal(agent_nr_leased(&b->far), 0);
	b->io->ops->destroy(b->io);
	cache_destroy(b->c);
	pmap_destroy(b->pm);
	ram_view_destroy(&b->view);
	agent_link_destroy(&b->link);
	agent_store_destroy(&b->near);
	agent_store_destroy(&b->far);
	(void)close(b->ram);
	(void)close(b->file);
	(void)close(b->pagemap);
	free(b);
	return 0;
}

static uint8_t *guest(struct bench *b, unsigned page)
{
	return b->view.hva + BLK(page);
}

static unsigned nr_done;

static void done(struct io_req *r, int err)
{
	(void)r;
	assert_int_equal(err, 0);
	nr_done++;
}

/* One piece, there at once. */
static void read_to(struct bench *b, void *to, uint64_t at, size_t bytes,
		    enum io_file file)
{
	struct iovec v = { to, bytes };
	struct io_req r = {
		.file = file, .offset = at, .iov = &v, .nr_iov = 1, .done = done
	};

	nr_done = 0;
	b->io->ops->read(b->io, &r);
	assert_int_equal(nr_done, 1);
}

static uint64_t overlaid(const struct bench *b)
{
	struct pmap_stats s;

	pmap_get_stats(b->pm, &s);
	return s.overlaid_pages;
}

static uint64_t counted(const struct bench *b)
{
	struct cache_stats s;

	cache_get_stats(b->c, &s);
	return s.overlaid_blocks;
}

static void whole_pages_are_shown(void **state)
{
	struct bench *b = *state;
	const uint8_t *page;

	agent_fill(&b->near, 10, 8);
	read_to(b, guest(b, 100), BLK(10), BLK(8), IO_BASE);
	assert_bytes(guest(b, 100), NEAR, BLK(10), BLK(8));
	assert_int_equal(overlaid(b), 8);
	assert_int_equal(counted(b), 8);
	assert_int_equal(agent_nr_leased(&b->near), 8);
	assert_false(agent_evict(&b->near, 17));
	/* The guest writes: its own copy, and nobody else's. */
	guest(b, 100)[5] = 77;
	assert_int_equal(cache_lookup(b->c, AGENT_DISK, 10, 1, &page), 1);
	assert_bytes(page, NEAR, BLK(10), PAGE_BYTES);
	cache_put(b->c, AGENT_DISK, page, 1);
	assert_int_equal(pmap_sweep(b->pm, b->pagemap, PAGES, NULL), 1);
	assert_true(agent_evict(&b->near, 10));
	assert_false(agent_evict(&b->near, 11));
	assert_int_equal(guest(b, 100)[5], 77);
}

/* The same block twice, in two places and again in one of them. */
static void uses_are_of_pages(void **state)
{
	struct bench *b = *state;

	agent_fill(&b->near, 10, 1);
	read_to(b, guest(b, 1), BLK(10), PAGE_BYTES, IO_BASE);
	read_to(b, guest(b, 7), BLK(10), PAGE_BYTES, IO_BASE);
	read_to(b, guest(b, 7), BLK(10), PAGE_BYTES, IO_BASE);
	assert_int_equal(overlaid(b), 2);
	pmap_overwrite(b->pm, guest(b, 1), PAGE_BYTES);
	assert_false(agent_evict(&b->near, 10));
	pmap_overwrite(b->pm, guest(b, 7), PAGE_BYTES);
	assert_true(agent_evict(&b->near, 10));
}

static void parts_are_copied(void **state)
{
	struct bench *b = *state;

	agent_fill(&b->near, 0, 20);
	read_to(b, guest(b, 0), BLK(3) + 512, BLK(4), IO_BASE);
	read_to(b, guest(b, 8) + 512, BLK(3), BLK(4), IO_BASE);
	read_to(b, guest(b, 16), BLK(3), 512, IO_BASE);
	assert_int_equal(overlaid(b), 0);
	assert_int_equal(agent_nr_leased(&b->near), 0);
	assert_bytes(guest(b, 0), NEAR, BLK(3) + 512, BLK(4));
	assert_bytes(guest(b, 8) + 512, NEAR, BLK(3), BLK(4));
	/* Whole pages in front, a part behind. */
	read_to(b, guest(b, 20), BLK(3), BLK(2) + 100, IO_BASE);
	assert_int_equal(overlaid(b), 2);
	assert_bytes(guest(b, 20), NEAR, BLK(3), BLK(2) + 100);
	assert_int_equal(guest(b, 22)[100], 0);
}

/* Runs that are not worth a mapping, in requests that long or longer. */
static void short_runs_are_copied(void **state)
{
	struct bench *b = *state;
	uint64_t min = CACHE_RUN_MIN;

	b->c->run_min = CACHE_RUN_MIN;
	agent_fill(&b->near, 0, 40);
	read_to(b, guest(b, 0), 0, BLK(min - 1), IO_BASE);
	assert_int_equal(overlaid(b), 0);
	assert_int_equal(agent_nr_leased(&b->near), 0);
	assert_bytes(guest(b, 0), NEAR, 0, BLK(min - 1));
	read_to(b, guest(b, 0), 0, BLK(min), IO_BASE);
	assert_int_equal(overlaid(b), min);
	/* What was shown there is not: nobody's copy of it stays. */
	read_to(b, guest(b, 1), BLK(20), BLK(min - 1), IO_BASE);
	assert_int_equal(overlaid(b), 1);
	assert_int_equal(agent_nr_leased(&b->near), 1);
	assert_bytes(guest(b, 1), NEAR, BLK(20), BLK(min - 1));
}

/*
 * A long request whose blocks two nodes have in turn: pieces of it are short.
 */
static void short_pieces_of_a_long_request_are_copied(void **state)
{
	struct bench *b = *state;

	b->c->run_min = CACHE_RUN_MIN;
	agent_fill(&b->near, 0, 10);
	read_to(b, guest(b, 0), 0, BLK(10), IO_BASE);
	assert_int_equal(overlaid(b), 10);
	agent_fill(&b->far, 20, 2);
	agent_fill(&b->near, 22, 8);
	read_to(b, guest(b, 0), BLK(20), BLK(10), IO_BASE);
	assert_bytes(guest(b, 0), FAR, BLK(20), BLK(2));
	assert_bytes(guest(b, 2), NEAR, BLK(22), BLK(8));
	assert_int_equal(overlaid(b), 8);
	assert_int_equal(agent_nr_leased(&b->near), 8);
	assert_int_equal(agent_nr_leased(&b->far), 0);
}

/* Pieces of one request, on two nodes, shown and copied in turn. */
static void pieces_and_nodes(void **state)
{
	struct bench *b = *state;
	struct iovec v[] = { { guest(b, 0), BLK(2) },
			     { guest(b, 10) + 512, PAGE_BYTES },
			     { guest(b, 20), BLK(3) },
			     { guest(b, 30), 512 } };
	struct io_req r = { .file = IO_BASE,
			    .offset = BLK(5),
			    .iov = v,
			    .nr_iov = ARRAY_SIZE(v),
			    .done = done };

	agent_fill(&b->near, 5, 4);
	agent_fill(&b->far, 9, 6);
	nr_done = 0;
	b->io->ops->read(b->io, &r);
	assert_int_equal(nr_done, 1);
	assert_bytes(guest(b, 0), NEAR, BLK(5), BLK(2));
	assert_bytes(guest(b, 10) + 512, NEAR, BLK(7), BLK(1));
	assert_bytes(guest(b, 20), NEAR, BLK(8), BLK(1));
	assert_bytes(guest(b, 21), FAR, BLK(9), BLK(2));
	assert_bytes(guest(b, 30), FAR, BLK(11), 512);
	assert_int_equal(overlaid(b), 5);
	assert_int_equal(agent_nr_leased(&b->near), 3);
	assert_int_equal(agent_nr_leased(&b->far), 2);
}

/* What is written over is RAM again before it is, in all ways to write it. */
static void overwritten_pages_are_ram_again(void **state)
{
	struct bench *b = *state;

	agent_fill(&b->near, 0, 40);
	read_to(b, guest(b, 0), 0, BLK(40), IO_BASE);
	assert_int_equal(overlaid(b), 40);
	read_to(b, guest(b, 0), BLK(1), BLK(10), IO_COW); /* passes */
	assert_int_equal(overlaid(b), 30);
	assert_bytes(guest(b, 0), IN_FILE, BLK(1), BLK(10));
	read_to(b, guest(b, 10), 512, BLK(10), IO_BASE); /* copied */
	assert_int_equal(overlaid(b), 20);
	assert_bytes(guest(b, 10), NEAR, 512, BLK(10));
	cache_unlink(b->c);
	read_to(b, guest(b, 20), BLK(50), BLK(10), IO_BASE); /* absent */
	assert_int_equal(overlaid(b), 10);
	assert_bytes(guest(b, 20), IN_FILE, BLK(50), BLK(10));
	/* No page of it is somebody's copy: all of it is in the memfd. */
	for (unsigned i = 0; i < 30; i++) {
		uint8_t page[PAGE_BYTES];

		assert_int_equal(pread(b->ram, page, PAGE_BYTES, BLK(i)),
				 PAGE_BYTES);
		assert_memory_equal(page, guest(b, i), PAGE_BYTES);
	}
	assert_int_equal(agent_nr_leased(&b->near), 10);
}

/* A page filled by two blocks is not a copy of what was shown there. */
static void straddled_pages_are_ram_again(void **state)
{
	struct bench *b = *state;
	uint8_t page[PAGE_BYTES];

	agent_fill(&b->near, 0, 1);
	agent_fill(&b->far, 1, 1);
	read_to(b, guest(b, 9), 0, BLK(1), IO_BASE);
	read_to(b, guest(b, 9), 2048, BLK(1), IO_BASE);
	assert_int_equal(overlaid(b), 0);
	assert_int_equal(pread(b->ram, page, PAGE_BYTES, BLK(9)), PAGE_BYTES);
	assert_bytes(page, NEAR, 2048, 2048);
	assert_bytes(page + 2048, FAR, BLK(1), 2048);
}

static void budget_is_kept_by_copying(void **state)
{
	struct bench *b = *state;

	agent_fill(&b->near, 0, 200);
	for (unsigned i = 0; i < 100; i++) {
		read_to(b, guest(b, 2 * i), BLK(2 * i), PAGE_BYTES, IO_BASE);
		assert_bytes(guest(b, 2 * i), NEAR, BLK(2 * i), PAGE_BYTES);
	}
	assert_int_equal(overlaid(b), counted(b));
	assert_true(overlaid(b) > 0 && overlaid(b) <= 4);
	assert_int_equal(agent_nr_leased(&b->near), overlaid(b));
}

/* What was shown there is no longer, although nothing else can be. */
static void copied_over_what_was_shown(void **state)
{
	struct bench *b = *state;
	uint8_t page[PAGE_BYTES];

	agent_fill(&b->near, 0, 20);
	read_to(b, guest(b, 1), 0, PAGE_BYTES, IO_BASE);
	read_to(b, guest(b, 10), 0, BLK(2), IO_BASE);
	assert_int_equal(overlaid(b), 3);
	read_to(b, guest(b, 11), BLK(9), PAGE_BYTES, IO_BASE);
	assert_bytes(guest(b, 11), NEAR, BLK(9), PAGE_BYTES);
	assert_int_equal(overlaid(b), 2);
	assert_int_equal(pread(b->ram, page, PAGE_BYTES, BLK(11)), PAGE_BYTES);
	assert_bytes(page, NEAR, BLK(9), PAGE_BYTES);
	assert_true(agent_evict(&b->near, 1));
}

static void other_memory_is_copied_to(void **state)
{
	struct bench *b = *state;
	uint8_t *to = aligned_alloc(PAGE_BYTES, BLK(3));

	assert_non_null(to);
	agent_fill(&b->near, 0, 3);
	read_to(b, to, 0, BLK(3), IO_BASE);
	assert_bytes(to, NEAR, 0, BLK(3));
	assert_int_equal(agent_nr_leased(&b->near), 0);
	free(to);
}

static void shown_when_answered(void **state)
{
	struct bench *b = *state;
	struct iovec v = { guest(b, 0), BLK(6) };
	struct io_req r = { .file = IO_BASE,
			    .offset = BLK(70),
			    .iov = &v,
			    .nr_iov = 1,
			    .done = done };
	uint32_t tag;

	nr_done = 0;
	agent_fill(&b->near, 70, 2);
	b->io->ops->read(b->io, &r);
	assert_int_equal(nr_done, 0);
	assert_int_equal(overlaid(b), 2);
	tag = agent_expect(&b->link, 72, 4);
	agent_fill(&b->near, 72, 4);
	agent_answer(&b->link, tag, 4, 0);
	cache_ready(b->c);
	assert_int_equal(overlaid(b), 2);
	b->io->ops->complete(b->io);
	assert_int_equal(nr_done, 1);
	assert_int_equal(overlaid(b), 6);
	assert_bytes(guest(b, 0), NEAR, BLK(70), BLK(6));
}

/* The old one is looked at no more, but keeps what it shows. */
static void attached_again_while_shown(void **state)
{
	struct bench *b = *state;
	struct pmap_source none = { .fd = -1 };
	unsigned ids[PMAP_MAX_SOURCES], n = 0;

	agent_fill(&b->near, 0, 10);
	read_to(b, guest(b, 0), 0, BLK(10), IO_BASE);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(agent_attach(&b->near, b->c, 0), 0);
		read_to(b, guest(b, 10), 0, BLK(10), IO_BASE);
	}
	assert_int_equal(agent_nr_leased(&b->near), 20);
	pmap_overwrite(b->pm, guest(b, 10), BLK(10));
	assert_bytes(guest(b, 0), NEAR, 0, BLK(10));
	for (unsigned i = 0; i < 10; i++)
		assert_false(agent_evict(&b->near, i));
	pmap_overwrite(b->pm, guest(b, 0), BLK(10));
	for (unsigned i = 0; i < 10; i++)
		assert_true(agent_evict(&b->near, i));
	/* What retired gave its number back: two are in use. */
	cache_ready(b->c);
	while (!pmap_add_source(b->pm, &none, &ids[n]))
		n++;
	assert_int_equal(n, PMAP_MAX_SOURCES - 1 - 2);
	while (n)
		pmap_remove_source(b->pm, ids[--n]);
}

static void too_many_sources(void **state)
{
	struct bench *b = *state;
	struct pmap_source none = { .fd = -1 };
	unsigned ids[PMAP_MAX_SOURCES], n = 0;

	while (!pmap_add_source(b->pm, &none, &ids[n]))
		n++;
	assert_int_equal(agent_attach(&b->near, b->c, 0), -ENOSPC);
	agent_fill(&b->near, 0, 1); /* what was attached stays */
	read_to(b, guest(b, 0), 0, BLK(1), IO_BASE);
	assert_int_equal(overlaid(b), 1);
	while (n)
		pmap_remove_source(b->pm, ids[--n]);
}

/* --- moving house --- */

static void move(struct bench *b, nodeid_t node)
{
	struct agent_link old = b->link;

	cache_set_home(b->c, node);
	assert_int_equal(agent_link_create(&b->link, b->c), 0);
	agent_link_destroy(&old);
}

/* Stores hold true copies here: what is shown stays the same. */
static void pages_change_node(void **state)
{
	struct bench *b = *state;

	b->near.where = b->far.where = IN_FILE;
	agent_fill(&b->near, 0, 300);
	read_to(b, guest(b, 0), BLK(10), BLK(100), IO_BASE);
	read_to(b, guest(b, 200), BLK(150), BLK(100), IO_BASE);
	guest(b, 3)[0] = 99;
	agent_fill(&b->far, 30, 60);
	agent_fill(&b->far, 150, 100);
	move(b, 1);
	assert_int_equal(pmap_rebase(b->pm, b->pagemap, cache_rehome, b->c), 0);
	assert_int_equal(agent_nr_leased(&b->near), 0);
	assert_int_equal(agent_nr_leased(&b->far), 160);
	assert_bytes(guest(b, 0) + 1, IN_FILE, BLK(10) + 1, BLK(3) - 1);
	assert_int_equal(guest(b, 3)[0], 99);
	assert_bytes(guest(b, 4), IN_FILE, BLK(14), BLK(96));
	assert_bytes(guest(b, 200), IN_FILE, BLK(150), BLK(100));
	/* Where they are already, they stay. */
	assert_int_equal(pmap_rebase(b->pm, b->pagemap, cache_rehome, b->c), 0);
	assert_int_equal(agent_nr_leased(&b->far), 160);
	assert_bytes(guest(b, 200), IN_FILE, BLK(150), BLK(100));
}

/* No cache of the disk there: everything is copied. */
static void no_cache_at_home(void **state)
{
	struct bench *b = *state;

	agent_fill(&b->near, 0, 100);
	read_to(b, guest(b, 0), 0, BLK(100), IO_BASE);
	move(b, 7);
	cache_prefetch(b->c);
	assert_int_equal(pmap_rebase(b->pm, b->pagemap, cache_rehome, b->c), 0);
	assert_int_equal(agent_nr_leased(&b->near), 0);
	assert_bytes(guest(b, 0), NEAR, 0, BLK(100));
}

static void prefetch_asks_for_what_is_shown(void **state)
{
	const struct {
		unsigned first, nr;
	} want[] = {
		{ 3, 2 }, { 10, 5 }, { 18, 2 }, { 100, 256 }, { 356, 44 }
	};
	struct bench *b = *state;
	struct cache_request q;

	agent_fill(&b->near, 0, BLOCKS);
	agent_fill(&b->far, 15, 3);
	read_to(b, guest(b, 0), BLK(3), BLK(2), IO_BASE);
	read_to(b, guest(b, 2), BLK(10), BLK(10), IO_BASE);
	read_to(b, guest(b, 12), BLK(100), BLK(300), IO_BASE);
	move(b, 1);
	cache_prefetch(b->c);
	for (unsigned i = 0; i < ARRAY_SIZE(want); i++) {
		assert_true(agent_recv(&b->link, &q));
		assert_int_equal(q.kind, CACHE_AHEAD);
		assert_int_equal(q.first, want[i].first);
		assert_int_equal(q.nr, want[i].nr);
		agent_fill(&b->far, q.first, q.nr);
	}
	assert_false(agent_recv(&b->link, &q));
	cache_prefetch(b->c); /* all of it has come */
	assert_false(agent_recv(&b->link, &q));
}

/* --- copies on the home node --- */

static uint64_t bring(struct bench *b, uint64_t first, uint64_t nr)
{
	uint64_t brought = UINT64_MAX;

	assert_int_equal(pmap_bring(b->pm, b->pagemap, first, nr, cache_nearer,
				    b->c, &brought),
			 0);
	return brought;
}

static bool is_nearer(struct bench *b, unsigned page)
{
	uint64_t at = page, index = 0;
	unsigned id = pmap_next_shown(b->pm, &at, page + 1, &index);

	return id && cache_is_nearer(b->c, id, index);
}

/* Stores hold different bytes here: what is shown from where is seen. */
static void pages_come_nearer(void **state)
{
	struct bench *b = *state;

	agent_fill(&b->far, 0, 200);
	read_to(b, guest(b, 0), 0, BLK(100), IO_BASE);
	read_to(b, guest(b, 300), BLK(100), BLK(50), IO_BASE);
	guest(b, 40)[7] = 99;
	assert_int_equal(bring(b, 0, PAGES), 0);
	assert_false(is_nearer(b, 20));
	agent_fill(&b->near, 20, 60);
	agent_fill(&b->near, 100, 50);
	assert_true(is_nearer(b, 20));
	assert_false(is_nearer(b, 19));
	assert_false(is_nearer(b, 200)); /* it is RAM */
	/* Not beyond what is asked for. */
	assert_int_equal(bring(b, 0, 40), 20);
	assert_bytes(guest(b, 0), FAR, 0, BLK(20));
	assert_bytes(guest(b, 20), NEAR, BLK(20), BLK(20));
	assert_bytes(guest(b, 41), FAR, BLK(41), BLK(59));
	assert_false(is_nearer(b, 20));
	/* The page that the guest has written stays, as its own. */
	assert_int_equal(bring(b, 0, UINT64_MAX), 39 + 50);
	assert_int_equal(guest(b, 40)[7], 99);
	assert_bytes(guest(b, 40) + 8, FAR, BLK(40) + 8, PAGE_BYTES - 8);
	assert_bytes(guest(b, 41), NEAR, BLK(41), BLK(39));
	assert_bytes(guest(b, 80), FAR, BLK(80), BLK(20));
	assert_bytes(guest(b, 300), NEAR, BLK(100), BLK(50));
	assert_int_equal(agent_nr_leased(&b->near), 20 + 39 + 50);
	assert_int_equal(agent_nr_leased(&b->far), 20 + 20);
	assert_false(agent_evict(&b->near, 25));
	assert_true(agent_evict(&b->far, 25));
	assert_int_equal(bring(b, 0, PAGES), 0);
	assert_int_equal(bring(b, PAGES, 5), 0);
	assert_int_equal(bring(b, UINT64_MAX, 5), 0);
}

/* Single pages would take a mapping each: they stay, and are not copied. */
static void short_runs_stay(void **state)
{
	struct bench *b = *state;

	agent_fill(&b->far, 0, 100);
	read_to(b, guest(b, 0), 0, BLK(100), IO_BASE);
	for (unsigned i = 1; i < 100; i += 2)
		agent_fill(&b->near, i, 1);
	assert_int_equal(bring(b, 0, PAGES), 0);
	assert_bytes(guest(b, 0), FAR, 0, BLK(100));
	assert_int_equal(agent_nr_leased(&b->near), 0);
	assert_int_equal(agent_nr_leased(&b->far), 100);
	assert_int_equal(overlaid(b), 100);
	/* One that takes no mapping more is worth it. */
	read_to(b, guest(b, 200), BLK(50), PAGE_BYTES, IO_BASE);
	agent_fill(&b->near, 50, 1);
	assert_int_equal(bring(b, 200, 1), 1);
	assert_bytes(guest(b, 200), NEAR, BLK(50), PAGE_BYTES);
}

/* What is not looked in any more is left where it is better to be. */
static void a_store_that_ended(void **state)
{
	struct bench *b = *state;

	agent_fill(&b->far, 0, 50);
	read_to(b, guest(b, 0), 0, BLK(50), IO_BASE);
	cache_detach(b->c, AGENT_DISK, 1);
	agent_fill(&b->near, 0, 50);
	assert_true(cache_count_shown(b->c));
	assert_true(is_nearer(b, 0));
	assert_int_equal(bring(b, 0, PAGES), 50);
	assert_bytes(guest(b, 0), NEAR, 0, BLK(50));
	assert_int_equal(agent_nr_leased(&b->far), 0);
	assert_false(cache_count_shown(b->c));
}

static void foreign_pages_stay(void **state)
{
	struct pmap_source none = { .fd = -1 };
	struct bench *b = *state;
	uint64_t nr = 5, index = 7;
	unsigned id;

	/* Foreign pages are nobody's to bring. */
	assert_int_equal(pmap_add_source(b->pm, &none, &id), 0);
	assert_int_equal(cache_nearer(b->c, id, index, &nr), id);
	assert_int_equal(nr, 5);
	assert_false(cache_is_nearer(b->c, id, index));
	assert_int_equal(cache_nearer(b->c, PMAP_MAX_SOURCES, 0, &nr),
			 PMAP_MAX_SOURCES);
	pmap_remove_source(b->pm, id);
}

/* What shows the same as the file, whatever goes on. */
static void random_reads_and_moves(void **state)
{
	static unsigned shows[PAGES]; /* block + 1; 0: zeroes */
	struct bench *b = *state;

	memset(shows, 0, sizeof(shows));
	b->near.where = b->far.where = IN_FILE;
	cache_unlink(b->c);
	srandom(33);
	for (unsigned i = 0; i < 8000; i++) {
		struct agent_store *s = random() % 2 ? &b->near : &b->far;
		unsigned nr = 1 + (unsigned)random() % 12;
		unsigned page = (unsigned)random() % (PAGES - nr);
		unsigned first = (unsigned)random() % (BLOCKS - 1 - nr);

		agent_fill(s, (unsigned)random() % (BLOCKS - 30), 30);
		for (unsigned k = 0; k < 20; k++)
			(void)agent_evict(s, (unsigned)random() % BLOCKS);
		read_to(b, guest(b, page), BLK(first), BLK(nr), IO_BASE);
		for (unsigned k = 0; k < nr; k++)
			shows[page + k] = first + k + 1;
		if (i % 500 == 0) {
			cache_set_home(b->c, (nodeid_t)(i / 500 % 2));
			assert_int_equal(pmap_rebase(b->pm, b->pagemap,
						     cache_rehome, b->c),
					 0);
		} else if (i % 50 == 0) {
			(void)bring(b, page, 200);
		}
		page = (unsigned)random() % PAGES;
		if (shows[page])
			assert_bytes(guest(b, page), IN_FILE,
				     BLK(shows[page] - 1), PAGE_BYTES);
	}
	assert_true(counted(b) > 5000);
	for (unsigned p = 0; p < PAGES; p++)
		if (shows[p])
			assert_bytes(guest(b, p), IN_FILE, BLK(shows[p] - 1),
				     PAGE_BYTES);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(whole_pages_are_shown),
		TEST(uses_are_of_pages),
		TEST(parts_are_copied),
		TEST(short_runs_are_copied),
		TEST(short_pieces_of_a_long_request_are_copied),
		TEST(pieces_and_nodes),
		TEST(overwritten_pages_are_ram_again),
		TEST(straddled_pages_are_ram_again),
		cmocka_unit_test_setup_teardown(budget_is_kept_by_copying,
						setup_small, teardown),
		cmocka_unit_test_setup_teardown(copied_over_what_was_shown,
						setup_small, teardown),
		TEST(other_memory_is_copied_to),
		TEST(shown_when_answered),
		TEST(attached_again_while_shown),
		TEST(too_many_sources),
		TEST(pages_change_node),
		TEST(no_cache_at_home),
		TEST(prefetch_asks_for_what_is_shown),
		TEST(pages_come_nearer),
		TEST(short_runs_stay),
		TEST(a_store_that_ended),
		TEST(foreign_pages_stay),
		TEST(random_reads_and_moves),
	};

	return cmocka_run_group_tests_name("cache_show", tests, NULL, NULL);
}
