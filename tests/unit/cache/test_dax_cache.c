/* SPDX-License-Identifier: BSD-2-Clause */
/* A region out of a buffer cache, with the kernel's own userfaultfd. */
#include <errno.h>
#include <grp.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/unit/fake_ioctl.h"
#include "tests/unit/cache/dax_cache_bench.h"

/* --- what is mapped is leased --- */

static struct agent_store *watched; /* NULL: nothing is */
static uint8_t *watched_hva;
static unsigned nr_watched;

static void check_leased(const struct uffdio_continue *c)
{
	uint64_t first = (c->range.start - (uintptr_t)watched_hva) / PAGE_BYTES;
	const lease_word *leases = watched->leases[0].base;

	for (uint64_t i = 0; i < c->range.len / PAGE_BYTES; i++) {
		assert_true(presence_test(leases, first + i));
		assert_false(agent_evict(watched, first + i));
		nr_watched++;
	}
}

int fake_ioctl(int fd, unsigned long request, void *arg)
{
	if (watched && request == UFFDIO_CONTINUE)
		check_leased(arg);
	return (int)syscall(SYS_ioctl, fd, request, arg);
}

static void what_is_mapped_is_leased_meanwhile(void **state)
{
	struct bench *b = bench_shown();

	(void)state;
	agent_fill(&b->near, 0, 5);
	agent_fill(&b->near, 7, 20);
	watched = &b->near;
	watched_hva = bench_at(b, 0);
	expect_page(b, 10, NEAR);
	watched = NULL;
	assert_int_equal(nr_watched, 25);
	assert_int_equal(agent_nr_leased(&b->near), 0);
	bench_destroy(b);
}

/* Who may not have faults of the kernel told to him maps the file. */
static void refused_without_a_privilege(void **state)
{
	int fd = open("/proc/sys/vm/unprivileged_userfaultfd", O_RDONLY);
	int status = 0;
	char c = '0';
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		SKIP("only root has a privilege to lose");
	if (fd >= 0)
		assert_int_equal(read(fd, &c, 1), 1);
	(void)close(fd);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct pager *p = NULL;
		int err;

		if (setgroups(0, NULL) < 0 || setgid(65534) < 0 ||
		    setuid(65534) < 0)
			_exit(2);
		err = pager_create(&p);
		pager_destroy(p);
		_exit(err == -EPERM ? 1 : err ? 3 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), c == '0');
}

/* --- hits and misses --- */

static void the_file_until_it_is_shown(void **state)
{
	struct bench *b = bench_make();

	(void)state;
	assert_false(dax_wants_rebase(b->dax));
	assert_int_equal(dax_rebase(b->dax, b->pagemap), 0);
	assert_bytes(bench_at(b, 0), IN_FILE, 0, BYTES);
	bench_attach(b, 1); /* not home */
	assert_false(dax_wants_rebase(b->dax));
	assert_int_equal(bench_pager_stats(b).faults, 0);
	bench_destroy(b);
}

static void a_hit_maps_what_is_around(void **state)
{
	struct bench *b = bench_make();

	(void)state;
	bench_attach(b, 0);
	agent_fill(&b->near, 0, 100);
	assert_true(dax_wants_rebase(b->dax));
	assert_int_equal(dax_rebase(b->dax, b->pagemap), 0);
	assert_false(dax_wants_rebase(b->dax));
	assert_int_equal(bench_stats(b).cached_pages, WHOLE);
	expect_page(b, 70, NEAR);
	assert_int_equal(bench_pager_stats(b).faults, 1);
	assert_int_equal(bench_stats(b).continued_pages, 100 - RUN);
	assert_int_equal(agent_nr_leased(&b->near), 0);
	assert_bytes(bench_at(b, RUN), NEAR, RUN * PAGE_BYTES,
		     (100 - RUN) * PAGE_BYTES);
	assert_int_equal(bench_pager_stats(b).faults, 1);
	/* Gaps between what is there, and what is mapped, are skipped. */
	agent_fill(&b->near, 110, 4);
	expect_page(b, 111, NEAR);
	assert_int_equal(bench_stats(b).continued_pages, 104 - RUN);
	assert_int_equal(bench_pager_stats(b).copied_pages, 0);
	assert_bytes(bench_at(b, WHOLE), IN_FILE, WHOLE * PAGE_BYTES,
		     BYTES % PAGE_BYTES);
	bench_destroy(b);
}

/* Two guests, one page of memory: what changes in it is seen by both. */
static void pages_are_the_caches(void **state)
{
	struct bench *b = bench_shown();

	(void)state;
	agent_fill(&b->near, 5, 1);
	expect_page(b, 5, NEAR);
	b->near.base[5 * PAGE_BYTES] ^= 1;
	assert_int_equal(*bench_at(b, 5), agent_byte(NEAR, 5 * PAGE_BYTES) ^ 1);
	assert_int_equal(touch(b, 5, true), 0xc7);
	assert_int_equal(b->near.base[5 * PAGE_BYTES],
			 agent_byte(NEAR, 5 * PAGE_BYTES) ^ 1);
	bench_destroy(b);
}

static void a_miss_is_asked_of_the_agent(void **state)
{
	struct bench *b = bench_shown();
	struct cache_request q;
	struct toucher t;

	(void)state;
	agent_fill(&b->near, RUN + 18, 1);
	touch_start(&t, b, RUN + 20, false);
	while (!agent_recv(&b->link, &q))
		bench_turn(b, 1);
	assert_int_equal(q.kind, CACHE_FILL);
	/* Of the 16 pages that it is in, those that follow what is there. */
	assert_int_equal(q.first, RUN + 19);
	assert_int_equal(q.nr, 13);
	/* In memory, but not whole: nobody may see it. */
	memset(b->near.base + (RUN + 20) * PAGE_BYTES, 0xee, PAGE_BYTES);
	for (unsigned i = 0; i < 20; i++)
		bench_turn(b, 1);
	assert_false(atomic_load(&t.done));
	agent_fill(&b->near, q.first, q.nr);
	agent_answer(&b->link, q.tag, q.nr, 0);
	touch_wait(&t, b);
	assert_int_equal(touch_end(&t),
			 agent_byte(NEAR, (RUN + 20) * PAGE_BYTES));
	assert_bytes(bench_at(b, RUN + 18), NEAR, (RUN + 18) * PAGE_BYTES,
		     14 * PAGE_BYTES);
	assert_int_equal(bench_stats(b).continued_pages, 14);
	assert_int_equal(bench_pager_stats(b).faults, 1);
	bench_destroy(b);
}

/* Also what its agent is filling for somebody else. */
static void half_a_page_is_never_seen(void **state)
{
	struct bench *b = bench_shown();

	(void)state;
	memset(b->near.base + 3 * PAGE_BYTES, 0xee, PAGE_BYTES);
	b->serves = true;
	expect_page(b, 2, NEAR); /* in the same run */
	expect_page(b, 3, NEAR);
	bench_destroy(b);
}

static void a_write_makes_a_copy(void **state)
{
	struct bench *b = bench_shown();

	(void)state;
	b->serves = true;
	assert_int_equal(touch(b, 9, true), 0xc7);
	assert_bytes(bench_at(b, 9) + 1, NEAR, 9 * PAGE_BYTES + 1,
		     PAGE_BYTES - 1);
	assert_int_equal(b->near.base[9 * PAGE_BYTES],
			 agent_byte(NEAR, 9 * PAGE_BYTES));
	/* Taken away under it: the copy stays. */
	assert_true(agent_evict(&b->near, 9));
	assert_int_equal(*bench_at(b, 9), 0xc7);
	bench_destroy(b);
}

static void what_is_taken_away_comes_again(void **state)
{
	struct bench *b = bench_shown();

	(void)state;
	b->serves = true;
	expect_page(b, 5, NEAR);
	assert_true(agent_evict(&b->near, 5));
	b->near.where = 7; /* to tell it from the first time */
	expect_page(b, 5, 7);
	assert_bytes(bench_at(b, 6), NEAR, 6 * PAGE_BYTES, PAGE_BYTES);
	assert_int_equal(bench_pager_stats(b).faults, 2);
	assert_int_equal(bench_pager_stats(b).copied_pages, 0);
	bench_destroy(b);
}

/* More faults than there are slots, and the link has answers for. */
static void many_at_a_time(void **state)
{
	struct bench *b = bench_shown();
	static struct toucher t[PAGER_SLOTS + 30];

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(t); i++)
		touch_start(&t[i], b, i * 6, i % 3 == 0);
	WAIT_UNTIL(bench_pager_stats(b).faults == ARRAY_SIZE(t));
	b->serves = true;
	for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
		uint64_t at = (uint64_t)i * 6 * PAGE_BYTES;
		int sees;

		touch_wait(&t[i], b);
		sees = touch_end(&t[i]);
		assert_true(i % 3 ? sees == agent_byte(NEAR, at) ||
					    sees == agent_byte(IN_FILE, at)
				  : sees == 0xc7);
	}
	assert_in_range(bench_pager_stats(b).copied_pages, 30,
			ARRAY_SIZE(t) - 1);
	b->near.where = NEAR;
	expect_page(b, 599 - 7, NEAR); /* slots are free again */
	bench_destroy(b);
}

/* --- what the cache does not give --- */

static void expect_copied(struct bench *b, uint64_t page)
{
	uint64_t before = bench_pager_stats(b).copied_pages;

	expect_page(b, page, IN_FILE);
	assert_int_equal(bench_pager_stats(b).copied_pages, before + 1);
}

static void a_late_agent_is_not_waited_for(void **state)
{
	struct bench *b = bench_shown();
	struct cache_stats s;

	(void)state;
	b->c->patience_ns = 20000000;
	expect_copied(b, 5);
	cache_get_stats(b->c, &s);
	assert_int_equal(s.late, 1);
	b->c->patience_ns = LONG_NS;
	expect_copied(b, 200); /* it is silent: not waited for at all */
	/* It speaks again. */
	bench_answer(b);
	bench_turn(b, 1);
	b->serves = true;
	expect_page(b, 300, NEAR);
	expect_page(b, 6, NEAR); /* filled after all, and so was 5 */
	assert_bytes(bench_at(b, 5), IN_FILE, 5 * PAGE_BYTES, PAGE_BYTES);
	bench_destroy(b);
}

static void an_agent_without_room(void **state)
{
	struct bench *b = bench_shown();
	struct cache_request q;
	struct toucher t;

	(void)state;
	touch_start(&t, b, 5, false);
	while (!agent_recv(&b->link, &q))
		bench_turn(b, 1);
	agent_answer(&b->link, q.tag, 0, ENOSPC);
	touch_wait(&t, b);
	assert_int_equal(touch_end(&t), agent_byte(IN_FILE, 5 * PAGE_BYTES));
	bench_destroy(b);
}

static void a_dead_agent(void **state)
{
	struct bench *b = bench_shown();
	struct cache_request q;
	struct toucher t;

	(void)state;
	agent_fill(&b->near, 100, 1);
	touch_start(&t, b, 5, false);
	while (!agent_recv(&b->link, &q))
		bench_turn(b, 1);
	bench_unlink(b); /* dies with the request */
	touch_wait(&t, b);
	assert_int_equal(touch_end(&t), agent_byte(IN_FILE, 5 * PAGE_BYTES));
	expect_copied(b, 6);
	expect_page(b, 100, NEAR); /* what it left is used */
	bench_destroy(b);
}

/* A block that it says is there is a hole. */
static void an_agent_that_lies(void **state)
{
	struct bench *b = bench_shown();

	(void)state;
	presence_set(b->near.presence.base, 5, 1);
	expect_copied(b, 5);
	bench_destroy(b);
}

/* Attached no more: nobody says what is there, nor fills. */
static void a_store_that_ends(void **state)
{
	struct bench *b = bench_shown();

	(void)state;
	agent_fill(&b->near, 0, 10);
	expect_page(b, 5, NEAR);
	agent_fill(&b->near, 100, 10);
	cache_detach(b->c, AGENT_DISK, 0);
	assert_false(dax_wants_rebase(b->dax));
	assert_int_equal(dax_rebase(b->dax, b->pagemap), 0);
	assert_bytes(bench_at(b, 5), NEAR, 5 * PAGE_BYTES, PAGE_BYTES);
	expect_copied(b, 100);
	expect_copied(b, 200);
	/* A new one of the same node. */
	agent_store_destroy(&b->near);
	memset(&b->near, 0, sizeof(b->near));
	agent_store_create(&b->near, 6, BYTES);
	bench_attach(b, 0);
	assert_true(dax_wants_rebase(b->dax));
	assert_int_equal(dax_rebase(b->dax, b->pagemap), 0);
	b->serves = true;
	expect_page(b, 5, 6);
	assert_bytes(bench_at(b, 100), IN_FILE, 100 * PAGE_BYTES, PAGE_BYTES);
	bench_destroy(b);
}

/* --- who waits for whom --- */

static bool is_asked(const struct bench *b)
{
	struct pollfd p = { .fd = pager_event_fd(b->p), .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

/* A device that reads or writes such memory. */
static void the_io_thread_may_fault(void **state)
{
	struct bench *b = bench_shown();

	(void)state;
	agent_fill(&b->near, 0, 10);
	assert_bytes(bench_at(b, 5), IN_FILE, 5 * PAGE_BYTES, PAGE_BYTES);
	*bench_at(b, 6) = 0x11;
	assert_int_equal(*bench_at(b, 6), 0x11);
	assert_int_equal(bench_pager_stats(b).copied_pages, 2);
	assert_false(is_asked(b)); /* so it was not waited for */
	expect_page(b, 7, NEAR);
	bench_destroy(b);
}

static void an_io_thread_that_hangs(void **state)
{
	struct bench *b = bench_shown();
	struct toucher t;

	(void)state;
	agent_fill(&b->near, 0, 10);
	touch_start(&t, b, 5, false);
	assert_int_equal(touch_end(&t), agent_byte(IN_FILE, 5 * PAGE_BYTES));
	expect_page(b, 6, NEAR);
	bench_destroy(b);
}

/* It waits for a thread that waits for it: parking vCPUs. */
static void an_io_thread_in_a_hurry(void **state)
{
	struct bench *b = bench_shown();
	struct toucher t[2];

	(void)state;
	agent_fill(&b->near, 0, 10);
	touch_start(&t[0], b, 5, false);
	WAIT_UNTIL(bench_pager_stats(b).faults);
	pager_hurry(b->p, true);
	pager_hurry(b->p, true);
	assert_int_equal(touch_end(&t[0]), agent_byte(IN_FILE, 5 * PAGE_BYTES));
	pager_hurry(b->p, false);
	/* The pager wakes us after the page is there, and before a next one. */
	touch_start(&t[1], b, 101, false);
	assert_int_equal(touch_end(&t[1]),
			 agent_byte(IN_FILE, 101 * PAGE_BYTES));
	pager_ready(b->p);
	touch_start(&t[1], b, 100, false);
	assert_int_equal(touch_end(&t[1]),
			 agent_byte(IN_FILE, 100 * PAGE_BYTES));
	assert_false(is_asked(b));
	pager_hurry(b->p, false);
	expect_page(b, 6, NEAR);
	bench_destroy(b);
}

/* --- moving --- */

static void a_second_node(void **state)
{
	struct bench *b = bench_shown();

	(void)state;
	b->serves = true;
	assert_int_equal(touch(b, 40, true), 0xc7);
	expect_page(b, 41, NEAR);
	bench_attach(b, 1);
	agent_fill(&b->far, 0, 64);
	cache_set_home(b->c, 1);
	b->serves = false;
	/* On the way: what is there is mapped, nothing is filled. */
	agent_fill(&b->near, 300, 1);
	expect_page(b, 300, NEAR);
	expect_copied(b, 301);
	assert_true(dax_wants_rebase(b->dax));
	assert_int_equal(dax_rebase(b->dax, b->pagemap), 0);
	cache_detach(b->c, AGENT_DISK, 0);
	assert_int_equal(*bench_at(b, 40), 0xc7);
	assert_bytes(bench_at(b, 40) + 1, NEAR, 40 * PAGE_BYTES + 1,
		     PAGE_BYTES - 1);
	expect_page(b, 41, FAR);
	assert_bytes(bench_at(b, 301), IN_FILE, 301 * PAGE_BYTES, PAGE_BYTES);
	agent_fill(&b->far, 300, 1);
	expect_page(b, 300, FAR);
	/* [0, 40), 41 and so on to 300, 302 to the end: and what is between. */
	assert_int_equal(bench_stats(b).cached_pages, WHOLE - 2);
	bench_destroy(b);
}

/* Again and again: what is counted does not grow, and is not too little. */
static void moves_cost_no_mappings(void **state)
{
	struct bench *b = bench_make();
	char line[256];
	uint64_t lines = 0;
	FILE *maps;

	(void)state;
	for (uint64_t page = 20; page < 500; page += 40)
		*bench_at(b, page) = 0xc7;
	for (unsigned i = 0; i < 3; i++) {
		cache_set_home(b->c, (nodeid_t)(i % 2));
		bench_attach(b, (nodeid_t)(i % 2));
		assert_true(dax_wants_rebase(b->dax));
		assert_int_equal(dax_rebase(b->dax, b->pagemap), 0);
		assert_int_equal(bench_stats(b).cached_pages, WHOLE - 12);
		assert_int_equal(bench_stats(b).mappings, 2 + 2 * 13);
	}
	maps = fopen("/proc/self/maps", "r");
	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		uintptr_t at = strtoull(line, NULL, 16);

		lines += at - (uintptr_t)bench_at(b, 0) <
			 dax_window(b->dax)->bytes;
	}
	(void)fclose(maps);
	assert_in_range(lines, 2 * 13, bench_stats(b).mappings + 1);
	bench_destroy(b);
}

/* --- what stays as it is --- */

static void pages_of_devices_stay(void **state)
{
	struct bench *b = bench_make();
	struct ram_window *w = dax_window(b->dax);

	(void)state;
	/* Given to a device, and not written yet. */
	w->touched(w, 100 * PAGE_BYTES + 5, PAGE_BYTES);
	bench_attach(b, 0);
	assert_int_equal(dax_rebase(b->dax, b->pagemap), 0);
	assert_int_equal(bench_stats(b).cached_pages, WHOLE - 2);
	assert_bytes(bench_at(b, 100), IN_FILE, 100 * PAGE_BYTES,
		     2 * PAGE_BYTES);
	assert_int_equal(bench_pager_stats(b).faults, 0);
	b->serves = true;
	expect_page(b, 99, NEAR);
	expect_page(b, 102, NEAR);
	bench_destroy(b);
}

static void short_runs_stay(void **state)
{
	struct bench *b = bench_make();

	(void)state;
	for (uint64_t page = 0; page < WHOLE; page += DAX_RUN_MIN)
		*bench_at(b, page) = 0xc7; /* leaves one less in a row */
	bench_attach(b, 0);
	assert_int_equal(dax_rebase(b->dax, b->pagemap), 0);
	assert_int_equal(bench_stats(b).cached_pages, 0);
	assert_bytes(bench_at(b, 1), IN_FILE, PAGE_BYTES, PAGE_BYTES);
	bench_destroy(b);
}

static void what_the_budget_has_no_room_for_stays(void **state)
{
	struct bench *b = bench_make_of(bench_base(), -1, 4);

	(void)state;
	*bench_at(b, 50) = 0xc7;
	bench_attach(b, 0);
	agent_fill(&b->near, 0, WHOLE);
	assert_int_equal(dax_rebase(b->dax, b->pagemap), 0);
	assert_int_equal(bench_stats(b).cached_pages, 50);
	assert_int_equal(bench_stats(b).mappings, 4);
	expect_page(b, 49, NEAR);
	assert_int_equal(*bench_at(b, 50), 0xc7);
	assert_bytes(bench_at(b, 51), IN_FILE, 51 * PAGE_BYTES, PAGE_BYTES);
	bench_destroy(b);
}

/* On the memory of the node it left, of which nobody here knows anything. */
static void what_stays_in_a_move_is_copied(void **state)
{
	struct bench *b = bench_make_of(bench_base(), -1, 4);

	(void)state;
	bench_attach(b, 0);
	assert_int_equal(dax_rebase(b->dax, b->pagemap), 0);
	assert_int_equal(bench_stats(b).cached_pages, WHOLE);
	agent_fill(&b->near, 50, 1);
	assert_int_equal(touch(b, 50, true), 0xc7);
	bench_attach(b, 1);
	cache_set_home(b->c, 1);
	assert_int_equal(dax_rebase(b->dax, b->pagemap), 0);
	assert_int_equal(bench_stats(b).cached_pages, 0);
	agent_fill(&b->near, 0, WHOLE);
	agent_fill(&b->far, 0, WHOLE);
	expect_copied(b, 49);
	expect_copied(b, 51);
	bench_destroy(b);
}

/* A log in which a page is dirty when the test says so. */
struct log {
	struct dax_log log;
	uint64_t page;
};

static int take(struct dax_log *log, uint64_t *bits)
{
	uint64_t page = container_of(log, struct log, log)->page;

	bits[page / 64] |= 1ull << (page % 64);
	return 0;
}

struct flushed {
	struct dax_req r;
	int err;
};

static void is_flushed(struct dax_req *r, int err)
{
	container_of(r, struct flushed, r)->err = err;
}

static void flush(struct bench *b, uint64_t page)
{
	static struct log l = { .log.take = take };
	struct flushed f = { .r.done = is_flushed, .err = 1 };

	l.page = page;
	dax_set_log(b->dax, &l.log);
	dax_flush(b->dax, &f.r);
	while (f.err == 1) {
		assert_true(wait_readable(dax_event_fd(b->dax)));
		dax_ready(b->dax);
	}
	assert_int_equal(f.err, 0);
}

/* Blocks 100 to 119 were written before, block 7 is written now. */
static void blocks_of_a_cow_file_stay(void **state)
{
	int base = bench_base(), cow = cow_temp_cow(base, BYTES);
	struct bench *b = bench_make_of(fcntl(base, F_DUPFD_CLOEXEC, 0),
					fcntl(cow, F_DUPFD_CLOEXEC, 0), 1000);

	(void)state;
	for (uint64_t page = 100; page < 120; page++) {
		memset(bench_at(b, page), 0xc0, PAGE_BYTES);
		flush(b, page);
	}
	bench_destroy(b);
	/* As another process finds it. */
	b = bench_make_of(base, cow, 1000);
	bench_attach(b, 0);
	assert_int_equal(dax_rebase(b->dax, b->pagemap), 0);
	assert_int_equal(bench_stats(b).cached_pages, WHOLE - 20);
	b->serves = true;
	for (uint64_t page = 100; page < 120; page++)
		assert_int_equal(*bench_at(b, page), 0xc0);
	expect_page(b, 99, NEAR);
	expect_page(b, 120, NEAR);
	assert_int_equal(touch(b, 7, true), 0xc7);
	flush(b, 7);
	assert_int_equal(bench_stats(b).written_pages, 1);
	assert_true(cow_map_has(cow_map(disk_cow(b->dax->src.disk)), 7));
	assert_int_equal(dax_settle(b->dax), 0);
	/* Its block is the COW file's now, and so never replaced. */
	bench_attach(b, 1);
	cache_set_home(b->c, 1);
	assert_int_equal(dax_rebase(b->dax, b->pagemap), 0);
	assert_int_equal(*bench_at(b, 7), 0xc7);
	assert_int_equal(*bench_at(b, 110), 0xc0);
	bench_destroy(b);
}

/* --- a base that cannot be read --- */

static void *write_page(void *arg)
{
	int fds[2];
	ssize_t n;

	assert_int_equal(pipe(fds), 0);
	n = write(fds[1], arg, 1);
	(void)close(fds[0]);
	(void)close(fds[1]);
	return (void *)(intptr_t)(n < 0 ? errno : 0);
}

/* As KVM_RUN: the kernel gets at the page for the guest. */
static void a_base_that_is_cut_is_an_error(void **state)
{
	struct bench *b = bench_shown();
	pthread_t t;
	void *err;

	(void)state;
	cache_unlink(b->c);
	assert_int_equal(ftruncate(b->base, 0), 0);
	assert_int_equal(pthread_create(&t, NULL, write_page, bench_at(b, 5)),
			 0);
	for (unsigned i = 0; i < 100 && !bench_pager_stats(b).faults; i++)
		bench_turn(b, 10);
	bench_turn(b, 10);
	assert_int_equal(pthread_join(t, &err), 0);
	assert_int_equal((intptr_t)err, EFAULT);
	/* And nothing else is lost. */
	agent_fill(&b->near, 6, 1);
	expect_page(b, 6, NEAR);
	bench_destroy(b);
}

static void and_ends_the_process_that_touches_it(void **state)
{
	struct bench *b = bench_shown(); /* skips here, if need be */
	int status = 0;
	pid_t pid;

	(void)state;
#ifdef DISCO_SANITIZED
	SKIP("the sanitizer has its own end for SIGSEGV");
#endif
	bench_destroy(b);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)signal(SIGSEGV, SIG_DFL);
		(void)alarm((unsigned)wait_limit_ms(HANG_MS) / 1000);
		b = bench_shown();
		if (ftruncate(b->base, 0) < 0)
			_exit(1);
		_exit(*(volatile uint8_t *)bench_at(b, 5));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSEGV);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_mapped_is_leased_meanwhile),
		cmocka_unit_test(refused_without_a_privilege),
		cmocka_unit_test(the_file_until_it_is_shown),
		cmocka_unit_test(a_hit_maps_what_is_around),
		cmocka_unit_test(pages_are_the_caches),
		cmocka_unit_test(a_miss_is_asked_of_the_agent),
		cmocka_unit_test(half_a_page_is_never_seen),
		cmocka_unit_test(a_write_makes_a_copy),
		cmocka_unit_test(what_is_taken_away_comes_again),
		cmocka_unit_test(many_at_a_time),
		cmocka_unit_test(a_late_agent_is_not_waited_for),
		cmocka_unit_test(an_agent_without_room),
		cmocka_unit_test(a_dead_agent),
		cmocka_unit_test(an_agent_that_lies),
		cmocka_unit_test(a_store_that_ends),
		cmocka_unit_test(the_io_thread_may_fault),
		cmocka_unit_test(an_io_thread_that_hangs),
		cmocka_unit_test(an_io_thread_in_a_hurry),
		cmocka_unit_test(a_second_node),
		cmocka_unit_test(moves_cost_no_mappings),
		cmocka_unit_test(pages_of_devices_stay),
		cmocka_unit_test(short_runs_stay),
		cmocka_unit_test(what_the_budget_has_no_room_for_stays),
		cmocka_unit_test(what_stays_in_a_move_is_copied),
		cmocka_unit_test(blocks_of_a_cow_file_stay),
		cmocka_unit_test(a_base_that_is_cut_is_an_error),
		cmocka_unit_test(and_ends_the_process_that_touches_it),
	};

	return cmocka_run_group_tests_name("dax_cache", tests, NULL, NULL);
}
