/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Traps in guest RAM, with the kernel's userfaultfd and without a guest: threads
 * of the test stand for vCPUs. This thread is the I/O thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disco/pagemap.h"
#include "memory/pmap.h"
#include "memory/sampling/page_traps.h"
#include "tests/unit/support.h"

#define PAGES	 256u
#define RATE	 SAMPLER_MAX_RATE
#define TOUCHERS 3u
#define FAULTS	 1000u /* of the stress */

static struct ram_view view;
static struct pmap *pm;
static struct page_traps *traps;
static struct sampler sampler;
static struct pmap_source source;
static unsigned source_id;
static int ram = -1;

static _Atomic(uint32_t) *word(uint64_t page)
{
	return (_Atomic(uint32_t) *)(view.hva + page * PAGE_BYTES);
}

/*
 * Accesses of the threads that stand for vCPUs. ThreadSanitizer takes a new
 * mapping for a write to memory, and is not to see them, as it sees no guest.
 */
#define UNSEEN __attribute__((no_sanitize("thread"), noinline))

UNSEEN static uint32_t guest_load(uint64_t page)
{
	return atomic_load(word(page));
}

UNSEEN static uint32_t guest_add(uint64_t page, uint32_t more)
{
	return atomic_fetch_add(word(page), more);
}

static int set_up(void **state)
{
	(void)state;
	if (page_traps_probe())
		return 0; /* each test says why */
	ram = memfd_create("ram", MFD_CLOEXEC);
	source.fd = memfd_create("source", MFD_CLOEXEC);
	assert_return_code(ftruncate(ram, PAGES * PAGE_BYTES), errno);
	assert_return_code(ftruncate(source.fd, PAGES * PAGE_BYTES), errno);
	assert_int_equal(ram_view_create(&view, ram, PAGES * PAGE_BYTES), 0);
	assert_int_equal(pmap_create(&view, 1000, &pm), 0);
	assert_int_equal(pmap_add_source(pm, &source, &source_id), 0);
	for (unsigned i = 0; i < PAGES; i++)
		atomic_store(word(i), i);
	assert_int_equal(page_traps_create(&traps, &view, pm), 0);
	sampler_init(&sampler, PAGES, 5);
	sampler_set(&sampler, RATE, SAMPLER_MAX_SHARE, clock_now_ns());
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	page_traps_destroy(traps);
	pmap_destroy(pm);
	ram_view_destroy(&view);
	if (ram >= 0) {
		(void)close(ram);
		(void)close(source.fd);
	}
	traps = NULL;
	pm = NULL;
	ram = -1;
	return 0;
}

#define NEED_TRAPS()                                                           \
	do {                                                                   \
		int no_ = page_traps_probe();                                  \
		if (no_)                                                       \
			SKIP("userfaultfd: %s", strerror(-no_));               \
	} while (0)

static struct page_traps_counts counts(void)
{
	struct page_traps_counts c;

	page_traps_get_counts(traps, &c);
	return c;
}

/* Turns until @nr traps have been set. */
static void trap(uint64_t nr)
{
	uint64_t end = wait_end_ns();

	while (counts().set < nr) {
		assert_true(clock_now_ns() < end);
		page_traps_turn(traps, &sampler, clock_now_ns());
	}
}

/* All traps that are old enough by then go, and no others come. */
static void end_traps(void)
{
	sampler_set(&sampler, 0, 1, clock_now_ns());
	page_traps_turn(traps, &sampler, clock_now_ns());
}

/* --- a toucher of one page ------------------------------------------------- */

struct toucher {
	pthread_t thread;
	uint64_t page;
	bool write;
	_Atomic(uint32_t) tid;
	_Atomic(bool) done;
	uint32_t seen;
};

static void *touch_main(void *arg)
{
	struct toucher *t = arg;

	atomic_store(&t->tid, (uint32_t)gettid());
	if (t->write)
		t->seen = guest_add(t->page, 1000);
	else
		t->seen = guest_load(t->page);
	atomic_store(&t->done, true);
	return NULL;
}

static void touch(struct toucher *t, uint64_t page, bool write)
{
	*t = (struct toucher){ .page = page, .write = write };
	assert_int_equal(pthread_create(&t->thread, NULL, touch_main, t), 0);
}

/* The next fault at a trap. */
static struct page_trap_fault next_fault(void)
{
	struct page_trap_fault f;

	do
		assert_true(wait_readable(page_traps_fd(traps)));
	while (page_traps_wait(traps, &f) == 0);
	return f;
}

static void who_touches_is_reported(void **state)
{
	struct page_trap_fault f;
	struct toucher t;

	(void)state;
	NEED_TRAPS();
	trap(PAGES);
	for (unsigned i = 0; i < 8; i++) {
		touch(&t, 3 + 10 * i, i % 2);
		f = next_fault();
		(void)pthread_join(t.thread, NULL);
		assert_int_equal(f.page, 3 + 10 * i);
		assert_int_equal(f.thread, atomic_load(&t.tid));
		assert_int_equal(f.write, i % 2);
		assert_true(f.latency_ns > 0);
		assert_int_equal(t.seen, 3 + 10 * i);
		assert_int_equal(f.again, false);
		/* The trap is gone. */
		touch(&t, 3 + 10 * i, false);
		(void)pthread_join(t.thread, NULL);
		assert_int_equal(t.seen, 3 + 10 * i + (i % 2) * 1000);
	}
	/* A second look, of those alone; and no third one. */
	sampler_set(&sampler, RATE, SAMPLER_MAX_SHARE, clock_now_ns());
	for (uint64_t end = wait_end_ns(); counts().set < PAGES + 8;) {
		assert_true(clock_now_ns() < end);
		page_traps_turn(traps, &sampler, clock_now_ns());
	}
	touch(&t, 13, false);
	f = next_fault();
	(void)pthread_join(t.thread, NULL);
	assert_true(f.again && f.page == 13);
	assert_int_equal(counts().faults, 9);
	end_traps();
	for (unsigned i = 0; i < PAGES; i++)
		(void)atomic_load(word(i));
}

static bool is_mapped(uint64_t page)
{
	uint64_t e = 0, at = (uintptr_t)word(page) / PAGE_BYTES;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	assert_int_equal(pread(fd, &e, sizeof(e), (off_t)(at * sizeof(e))),
			 sizeof(e));
	(void)close(fd);
	return e & PM_PRESENT;
}

/* Nobody reads the faults: a page that is still trapped would hang this thread. */
static void traps_that_nobody_runs_into_end(void **state)
{
	(void)state;
	NEED_TRAPS();
	trap(PAGES);
	for (unsigned i = 0; i < PAGES; i++)
		assert_false(is_mapped(i));
	/* By the clock that it is told, without waiting. */
	sampler_set(&sampler, 0, 1, clock_now_ns());
	page_traps_turn(traps, &sampler, clock_now_ns());
	assert_int_equal(counts().expired, PAGES);
	/* Mapped again, before anybody touches them: a move must find them. */
	for (unsigned i = 0; i < PAGES; i++)
		assert_true(is_mapped(i));
	for (unsigned i = 0; i < PAGES; i++)
		assert_int_equal(atomic_load(word(i)), i);
	sampler_set(&sampler, RATE, SAMPLER_MAX_SHARE, clock_now_ns());
	trap(2 * PAGES);
	page_traps_turn(traps, &sampler, clock_now_ns() + PAGE_TRAPS_LIFE_NS);
	assert_true(counts().expired >= 2 * PAGES);
	end_traps();
	for (unsigned i = 0; i < PAGES; i++)
		assert_int_equal(atomic_load(word(i)), i);
}

/*
 * Or the share of a CPU that is used up could be used up for ever. The page that was
 * accessed is not forgotten.
 */
static void without_traps_turns_cost_nothing_until_a_look_is_due(void **state)
{
	uint64_t end, steps;
	struct toucher t;

	(void)state;
	NEED_TRAPS();
	trap(PAGES);
	touch(&t, 10, false);
	assert_int_equal(next_fault().page, 10);
	(void)pthread_join(t.thread, NULL);
	end = clock_now_ns() + PAGE_TRAPS_LIFE_NS;
	/* An hour at half a CPU. */
	sampler_spend(&sampler, clock_now_ns(), 0, 1800000000000ull);
	page_traps_turn(traps, &sampler, end);
	assert_int_equal(counts().expired, PAGES - 1);
	steps = counts().steps;
	for (unsigned i = 0; i < 100; i++)
		page_traps_turn(traps, &sampler, end);
	assert_int_equal(counts().steps, steps);
	assert_int_equal(counts().set, PAGES);
	sampler_init(&sampler, PAGES, 6);
	sampler_set(&sampler, 1000, SAMPLER_MAX_SHARE, end);
	page_traps_turn(traps, &sampler, end + 1000000);
	assert_int_equal(counts().set, PAGES + 1);
	assert_false(is_mapped(10));
	end_traps();
}

/* A private copy that was unmapped would be lost: the worst that could happen. */
static void only_ram_that_is_mapped_is_trapped(void **state)
{
	uint64_t begun = clock_now_ns();
	const struct page_traps_counts *c;
	struct page_traps_counts now;

	(void)state;
	NEED_TRAPS();
	/* 0-63 an overlay, 0-31 of it written; 64-127 holes; the rest is RAM. */
	assert_int_equal(pmap_show(pm, view.hva, 64, source_id, 0), 0);
	for (unsigned i = 0; i < 32; i++)
		atomic_store(word(i), 7000 + i);
	for (unsigned i = 32; i < 64; i++) /* so that they are mapped */
		assert_int_equal(atomic_load(word(i)), 0);
	assert_int_equal(pmap_free(pm, (gfn_t){ 64 }, 64), 0);
	trap(128);
	for (unsigned i = 0; i < 200; i++)
		page_traps_turn(traps, &sampler, begun += 1000000);
	now = counts();
	c = &now;
	assert_int_equal(c->set, 128);
	assert_true(c->skipped >= 128);
	assert_int_equal(c->failed, 0);
	/* None of these waits for anybody. */
	for (unsigned i = 0; i < 128; i++)
		assert_int_equal(atomic_load(word(i)), i < 32 ? 7000 + i : 0);
	end_traps();
	for (unsigned i = 128; i < PAGES; i++)
		assert_int_equal(atomic_load(word(i)), i);
}

/* A thread waits at a trap; the page becomes something else. */
static void who_waits_goes_on_whatever_the_page_becomes(void **state)
{
	struct toucher t[3];

	(void)state;
	NEED_TRAPS();
	trap(PAGES);
	touch(&t[0], 10, false);
	assert_true(wait_readable(page_traps_fd(traps)));
	assert_int_equal(
		pmap_show(pm, view.hva + 10 * PAGE_BYTES, 1, source_id, 1), 0);
	assert_int_equal(next_fault().page, 10);
	(void)pthread_join(t[0].thread, NULL);
	assert_int_equal(t[0].seen, 0);
	touch(&t[1], 20, true);
	assert_true(wait_readable(page_traps_fd(traps)));
	assert_int_equal(pmap_free(pm, (gfn_t){ 20 }, 1), 0);
	assert_int_equal(next_fault().page, 20);
	(void)pthread_join(t[1].thread, NULL);
	assert_int_equal(t[1].seen, 0);
	assert_int_equal(atomic_load(word(20)), 1000);
	/* One of neighbours that are trapped, too: they are one mapping. */
	touch(&t[2], 31, false);
	assert_int_equal(next_fault().page, 31);
	(void)pthread_join(t[2].thread, NULL);
	assert_int_equal(t[2].seen, 31);
	/* It ends by the end of the file, too. */
	touch(&t[0], 40, false);
	assert_true(wait_readable(page_traps_fd(traps)));
	page_traps_destroy(traps);
	traps = NULL;
	(void)pthread_join(t[0].thread, NULL);
	assert_int_equal(t[0].seen, 40);
	for (unsigned i = 0; i < PAGES; i++)
		if (i != 10 && i != 20)
			assert_int_equal(atomic_load(word(i)), i);
}

/* --- who may ------------------------------------------------------------------ */

/* As where there is no /dev/userfaultfd: by the system call alone. */
static int probe_without_device(void)
{
	if (unshare(CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("/dev/null", "/dev/userfaultfd", NULL, MS_BIND, NULL))
		return 77;
	return page_traps_probe() == -EPERM ? 0 : 1;
}

/* A process with capabilities, as doctor and the monitor, is told what they may. */
static void workers_have_no_capability(void **state)
{
	char may = '1';
	int fd = open("/proc/sys/vm/unprivileged_userfaultfd",
		      O_RDONLY | O_CLOEXEC),
	    status;
	pid_t pid;

	(void)state;
	if (fd >= 0) {
		(void)!read(fd, &may, 1);
		(void)close(fd);
	}
	if (may == '1')
		SKIP("everybody may");
	pid = fork();
	if (!pid)
		_exit(probe_without_device());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		SKIP("no mounts of its own, or no /dev/userfaultfd");
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* --- all at once ----------------------------------------------------------- */

static _Atomic(bool) over;
static _Atomic(bool) enough;
static unsigned rounds[TOUCHERS];

static void *faults_main(void *arg)
{
	struct page_trap_fault f;

	(void)arg;
	while (!atomic_load(&over))
		if (poll(&(struct pollfd){ page_traps_fd(traps), POLLIN, 0 }, 1,
			 1) > 0)
			(void)!page_traps_wait(traps, &f);
	return NULL;
}

static void *stress_main(void *arg)
{
	unsigned first = (unsigned)(uintptr_t)arg;

	for (; !atomic_load(&enough); rounds[first]++)
		for (unsigned i = first; i < PAGES / 2; i += TOUCHERS)
			(void)guest_add(i, 1);
	return NULL;
}

/*
 * Touchers count in the first half, in all pages at once, while pages of all of
 * memory are trapped, and the second half changes between RAM and overlays.
 */
static void nothing_is_lost_under_way(void **state)
{
	pthread_t faults, touchers[TOUCHERS];
	struct page_traps_counts c;
	unsigned n = 0;

	(void)state;
	NEED_TRAPS();
	atomic_store(&over, false);
	atomic_store(&enough, false);
	memset(rounds, 0, sizeof(rounds));
	for (unsigned i = 0; i < PAGES; i++)
		atomic_store(word(i), 0);
	assert_int_equal(pthread_create(&faults, NULL, faults_main, NULL), 0);
	for (unsigned i = 0; i < TOUCHERS; i++)
		assert_int_equal(pthread_create(&touchers[i], NULL, stress_main,
						(void *)(uintptr_t)i),
				 0);
	for (; counts().faults < FAULTS; n++) {
		uint64_t page = PAGES / 2 + n * 7 % (PAGES / 2);

		page_traps_turn(traps, &sampler, clock_now_ns());
		if (n % 3 == 0)
			(void)!pmap_show(pm, view.hva + page * PAGE_BYTES, 1,
					 source_id, page);
		else
			(void)!pmap_free(pm, (gfn_t){ page }, 1);
		(void)atomic_load(word(page));
	}
	atomic_store(&enough, true);
	for (unsigned i = 0; i < TOUCHERS; i++)
		(void)pthread_join(touchers[i], NULL);
	end_traps();
	atomic_store(&over, true);
	(void)pthread_join(faults, NULL);
	c = counts();
	print_message("# %llu set, %llu faults, %llu expired, %llu skipped\n",
		      (unsigned long long)c.set, (unsigned long long)c.faults,
		      (unsigned long long)c.expired,
		      (unsigned long long)c.skipped);
	assert_int_equal(c.failed, 0);
	for (unsigned i = 0; i < PAGES / 2; i++)
		assert_int_equal(atomic_load(word(i)), rounds[i % TOUCHERS]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(who_touches_is_reported, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(traps_that_nobody_runs_into_end,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			without_traps_turns_cost_nothing_until_a_look_is_due,
			set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			only_ram_that_is_mapped_is_trapped, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			who_waits_goes_on_whatever_the_page_becomes, set_up,
			tear_down),
		cmocka_unit_test(workers_have_no_capability),
		cmocka_unit_test_setup_teardown(nothing_is_lost_under_way,
						set_up, tear_down),
	};

	return cmocka_run_group_tests_name("page_traps", tests, NULL, NULL);
}
