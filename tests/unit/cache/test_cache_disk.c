/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Disks over a cache. Random requests to a copy-on-write disk, whose agent
 * fills, evicts, answers late, wrongly or never, and is replaced; all that is
 * read is compared with an image in memory.
 */
#include <errno.h>
#include <poll.h>

#include "cowdisk/disk/disk.h"
#include "tests/unit/cache/cache_agent.h"
#include "tests/unit/cowdisk/cow_files.h"

#define BYTES  (MIB(1) + 1536)
#define BLOCKS 257u
#define SLOTS  8u
#define HELD   64u

struct bench {
	int base, cow;
	struct disk *d;
	struct cache *c;
	struct agent_store s[2]; /* true copies */
	struct agent_link link;
	bool linked;
	uint8_t *shadow;
	struct cache_request held[HELD]; /* not answered yet */
	unsigned nr_held;
};

static void make_base(struct bench *b)
{
	b->base = cow_temp_file(BYTES);
	b->shadow = malloc(BYTES);
	assert_non_null(b->shadow);
	agent_bytes(IN_FILE, 0, b->shadow, BYTES);
	assert_int_equal(pwrite(b->base, b->shadow, BYTES, 0), BYTES);
}

static int dup_of(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

static struct bench *make(void)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	make_base(b);
	assert_int_equal(cache_create(NULL, &b->c), 0);
	for (unsigned i = 0; i < 2; i++) {
		agent_store_create(&b->s[i], IN_FILE, BYTES);
		assert_int_equal(agent_attach(&b->s[i], b->c, (nodeid_t)i), 0);
	}
	cache_set_home(b->c, 0);
	assert_int_equal(agent_link_create(&b->link, b->c), 0);
	b->linked = true;
	return b;
}

static void open_cow(struct bench *b)
{
	const char *why = "";
	int fds[DISK_COW_FDS];

	b->cow = cow_temp_cow(b->base, BYTES);
	cow_disk_fds(dup_of(b->base), dup_of(b->cow), fds);
	assert_int_equal(disk_open_cow(fds, false, SLOTS, &b->d, &why), 0);
}

static int setup(void **state)
{
	*state = make();
	return 0;
}

static int setup_cow(void **state)
{
	struct bench *b = make();

	open_cow(b);
	assert_int_equal(disk_use_cache(b->d, b->c, AGENT_DISK), 0);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	disk_close(b->d);
	cache_destroy(b->c);
	if (b->linked)
		agent_link_destroy(&b->link);
	for (unsigned i = 0; i < 2; i++)
		agent_store_destroy(&b->s[i]);
	(void)close(b->base);
	(void)close(b->cow);
	free(b->shadow);
	free(b);
	return 0;
}

struct request {
	struct disk_req r;
	struct iovec iov[3];
	uint8_t *buf;
	uint64_t at, bytes; /* 0: not under way */
	bool done;
	int err;
};

static void done(struct disk_req *r, int err)
{
	struct request *q = container_of(r, struct request, r);

	assert_false(q->done);
	q->done = true;
	q->err = err;
}

static void turn(struct bench *b)
{
	struct pollfd p[] = {
		{ .fd = cache_event_fd(b->c), .events = POLLIN },
		{ .fd = disk_event_fd(b->d), .events = POLLIN },
	};

	(void)poll(p, 2, 0);
	if (p[0].revents)
		cache_ready(b->c);
	if (p[1].revents)
		disk_complete(b->d);
}

static void finish(struct bench *b, struct request *q)
{
	uint64_t end = wait_end_ns();

	while (!q->done && clock_now_ns() < end)
		turn(b);
	assert_true(q->done);
}

/* --- the agent's moods --- */

static unsigned rnd(unsigned n)
{
	return (unsigned)random() % n;
}

static void answer_one(struct bench *b, const struct cache_request *q)
{
	unsigned mood = rnd(8);

	if (mood == 0) {
		agent_answer(&b->link, q->tag, 0, ENOSPC);
		return;
	}
	agent_fill(&b->s[0], q->first, mood == 1 ? q->nr / 2 : q->nr);
	if (mood == 2)
		for (unsigned i = 0; i < q->nr; i++)
			(void)agent_evict(&b->s[0], q->first + i);
	agent_answer(&b->link, q->tag, q->nr, 0);
}

static void new_link(struct bench *b)
{
	struct agent_link old = b->link;

	assert_int_equal(agent_link_create(&b->link, b->c), 0);
	agent_link_destroy(&old);
	b->nr_held = 0;
}

/* The agent was started anew, over what the old one left. */
static void new_agent(struct bench *b)
{
	struct agent_store *s = &b->s[0];

	new_link(b);
	if (s->nr_leases == AGENT_READERS)
		return;
	assert_int_equal(agent_attach(s, b->c, 0), 0);
}

static void step_agent(struct bench *b)
{
	struct cache_request q;

	while (agent_recv(&b->link, &q)) {
		assert_true(q.nr >= 1 && q.nr <= CACHE_FILL_MAX);
		assert_true(range_fits(q.first, q.nr, BLOCKS));
		assert_int_equal(q.disk, AGENT_DISK);
		if (q.kind == CACHE_AHEAD)
			agent_fill(&b->s[0], q.first, q.nr);
		else if (b->nr_held < HELD && rnd(3) == 0)
			b->held[b->nr_held++] = q;
		else
			answer_one(b, &q);
	}
	while (b->nr_held && rnd(4) == 0)
		answer_one(b, &b->held[--b->nr_held]);
	for (unsigned i = 0; i < 10; i++)
		(void)agent_evict(&b->s[rnd(2)], rnd(BLOCKS));
	if (rnd(20) == 0)
		agent_fill(&b->s[1], rnd(BLOCKS - 8), 8);
	if (rnd(200) == 0)
		new_link(b);
	if (rnd(1500) == 0)
		new_agent(b);
}

/* --- the guest --- */

static bool overlaps(const struct request *a, uint64_t at, uint64_t bytes)
{
	return a->bytes && at < a->at + a->bytes && a->at < at + bytes;
}

static void fill_pieces(struct request *q, enum disk_op op)
{
	uint64_t a = rnd((unsigned)q->bytes), c = rnd((unsigned)q->bytes);
	uint64_t low = min_u64(a, c), high = max_u64(a, c);

	for (uint64_t i = 0; i < q->bytes; i++)
		q->buf[i] = op == DISK_WRITE ? (uint8_t)random() : 0xee;
	q->iov[0] = (struct iovec){ q->buf, low };
	q->iov[1] = (struct iovec){ q->buf + low, high - low };
	q->iov[2] = (struct iovec){ q->buf + high, q->bytes - high };
}

static void submit(struct bench *b, struct request *all, struct request *q)
{
	enum disk_op op = rnd(100) ? DISK_READ : DISK_WRITE;
	unsigned sectors = rnd(8) ? 1 + rnd(64) : 8 * (1 + rnd(4));
	uint64_t at = rnd(BYTES / 512);

	if (rnd(2))
		at &= ~7ull;
	at *= 512;
	q->bytes = 0;
	sectors = (unsigned)min_u64(sectors, (BYTES - at) / 512);
	for (unsigned i = 0; i < SLOTS; i++)
		if (overlaps(&all[i], at, sectors * 512) &&
		    (op == DISK_WRITE || all[i].r.op == DISK_WRITE))
			return;
	q->at = at;
	q->bytes = sectors * 512;
	q->done = false;
	fill_pieces(q, op);
	if (op == DISK_WRITE)
		memcpy(b->shadow + at, q->buf, q->bytes);
	q->r = (struct disk_req){
		.op = op, .offset = at, .iov = q->iov, .nr_iov = 3, .done = done
	};
	assert_int_equal(disk_submit(b->d, &q->r), 0);
}

static void check(struct bench *b, struct request *q)
{
	assert_int_equal(q->err, 0);
	if (q->r.op == DISK_READ)
		assert_memory_equal(q->buf, b->shadow + q->at, q->bytes);
	q->bytes = 0;
}

static void all_that_is_read_is_right(void **state)
{
	struct bench *b = *state;
	struct request q[SLOTS] = { 0 };
	struct cache_stats s;

	srandom(20);
	b->c->patience_ns = 5000000;
	for (unsigned i = 0; i < SLOTS; i++) {
		q[i].buf = aligned_alloc(PAGE_BYTES, KIB(64));
		assert_non_null(q[i].buf);
	}
	for (unsigned i = 0; i < 30000; i++) {
		struct request *one = &q[rnd(SLOTS)];

		if (!one->bytes)
			submit(b, q, one);
		step_agent(b);
		turn(b);
		if (one->bytes && rnd(50) == 0)
			finish(b, one);
		if (one->bytes && one->done)
			check(b, one);
	}
	for (unsigned i = 0; i < SLOTS; i++) {
		if (q[i].bytes) {
			finish(b, &q[i]);
			check(b, &q[i]);
		}
		free(q[i].buf);
	}
	cache_get_stats(b->c, &s);
	print_message("# hits %lu missed %lu direct %lu late %lu asked %lu\n",
		      s.hit_blocks, s.missed_blocks, s.direct_blocks, s.late,
		      s.asked);
	assert_true(s.hit_blocks > 1000);
	assert_true(s.missed_blocks > 1000);
	assert_true(s.direct_blocks > 1000);
	assert_true(s.late > 1);
	assert_int_equal(agent_nr_leased(&b->s[0]), 0);
	assert_int_equal(agent_nr_leased(&b->s[1]), 0);
}

/* --- one at a time --- */

static void read_at(struct bench *b, struct request *q, uint64_t at,
		    uint64_t bytes)
{
	*q = (struct request){ .at = at, .bytes = bytes, .buf = q->buf };
	q->iov[0] = (struct iovec){ q->buf, bytes };
	q->r = (struct disk_req){ .op = DISK_READ,
				  .offset = at,
				  .iov = q->iov,
				  .nr_iov = 1,
				  .done = done };
	assert_int_equal(disk_submit(b->d, &q->r), 0);
}

static void settled_without_the_agent(void **state)
{
	struct bench *b = *state;
	uint8_t *buf = malloc(KIB(64));
	struct request q = { .buf = buf };
	struct cache_stats s;

	b->c->patience_ns = LONG_NS;
	read_at(b, &q, 512, KIB(64));
	assert_false(q.done);
	assert_int_equal(disk_settle(b->d), 0);
	assert_true(q.done);
	cache_get_stats(b->c, &s);
	assert_int_equal(s.late, 0);
	check(b, &q);
	free(buf);
}

static void raw_disks_have_one_when_read_only(void **state)
{
	struct bench *b = *state;
	uint8_t buf[8192];
	struct request q = { .buf = buf };
	struct cache_stats s;
	int fd;

	b->cow = -1;
	assert_int_equal(disk_open(dup_of(b->base), false, SLOTS, &b->d), 0);
	fd = disk_event_fd(b->d);
	assert_int_equal(disk_use_cache(b->d, b->c, AGENT_DISK), -EINVAL);
	assert_int_equal(disk_event_fd(b->d), fd);
	agent_fill(&b->s[0], 0, BLOCKS);
	read_at(b, &q, 1000, 8192);
	finish(b, &q);
	check(b, &q);
	disk_close(b->d);
	assert_int_equal(disk_open(dup_of(b->base), true, SLOTS, &b->d), 0);
	assert_int_equal(disk_use_cache(b->d, b->c, VM_MAX_DISKS), -EINVAL);
	assert_int_equal(disk_use_cache(b->d, b->c, AGENT_DISK), 0);
	read_at(b, &q, BYTES - 8192, 8192);
	assert_true(q.done);
	check(b, &q);
	cache_get_stats(b->c, &s);
	assert_int_equal(s.hit_blocks, 3);
	assert_int_equal(s.direct_blocks, 0);
}

/* What the guest wrote is in the COW file, whatever the cache says. */
static void written_blocks_are_not_the_caches(void **state)
{
	struct bench *b = *state;
	uint8_t buf[PAGE_BYTES];
	struct request q = { .buf = buf };

	agent_fill(&b->s[0], 0, BLOCKS);
	memset(buf, 'w', sizeof(buf));
	memset(b->shadow + 512, 'w', 1024);
	q.iov[0] = (struct iovec){ buf, 1024 };
	q.r = (struct disk_req){ .op = DISK_WRITE,
				 .offset = 512,
				 .iov = q.iov,
				 .nr_iov = 1,
				 .done = done };
	assert_int_equal(disk_submit(b->d, &q.r), 0);
	finish(b, &q);
	for (unsigned i = 0; i < 3; i++) {
		read_at(b, &q, 1024 * i, PAGE_BYTES);
		finish(b, &q);
		check(b, &q);
	}
}

#define TEST(f, s) cmocka_unit_test_setup_teardown(f, s, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_that_is_read_is_right, setup_cow),
		TEST(settled_without_the_agent, setup_cow),
		TEST(raw_disks_have_one_when_read_only, setup),
		TEST(written_blocks_are_not_the_caches, setup_cow),
	};

	return cmocka_run_group_tests_name("cache_disk", tests, NULL, NULL);
}
