/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The surveyor, with surveys that take as long as a test wants: nobody waits
 * for one who must not. The I/O thread is the test's own.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>

#include "memory/replica/ram_copies.h"
#include "monitor/sandbox/sandbox.h"
#include "monitor/worker/private.h"
#include "monitor/worker/stats.h"
#include "monitor/worker/text.h"
#include "tests/unit/support.h"

static struct vm vm;
static struct stats stats;
static struct worker_usage usage;

/* --- surveys --- */

static sem_t begun, go_on; /* each survey: it has; it may */
static _Atomic bool held;  /* surveys wait for go_on */
static _Atomic unsigned nr_surveys, nr_exact;
static _Atomic nodeid_t node_asked;

/* The surveyor's fakes make calls that its filter does not allow. */
int sandbox_enter(enum sandbox_class class)
{
	return class == SANDBOX_SURVEY ? 0 : -EINVAL;
}

/* In place of memory/ram_survey.c */
int ram_survey(const struct ram_view *view, const struct pmap *pm,
	       const struct ram_survey_ask *ask, struct ram_survey *out)
{
	bool exact = ask->budget == RAM_SURVEY_ALL;

	(void)view;
	(void)pm;
	assert_true(exact || ask->budget == RAM_SURVEY_PAGES);
	nr_exact += exact;
	nr_surveys++;
	(void)sem_post(&begun);
	/* So the next one that nobody asks for is STATS_DUTY times as far. */
	if (nr_surveys == 1)
		(void)usleep(500000);
	while (held && sem_trywait(&go_on) != 0) {
		if (ask->stop(ask->arg))
			return -ECANCELED;
		(void)usleep(100);
	}
	*out = (struct ram_survey){ .pages = 100 + nr_surveys,
				    .exact = exact,
				    .looked = 1 };
	node_counts_add(&out->on, 1, 90);
	node_counts_add(&out->on, 3, 10 + nr_surveys);
	return 0;
}

/* In place of monitor/worker/text.c */
void text_pages(nodeid_t node, uint64_t *pages, uint64_t *local)
{
	node_asked = node;
	*pages = *local = 7;
}

/* In place of monitor/worker/views/views.c */
unsigned views_count(const struct views *v)
{
	assert_ptr_equal(v, &vm);
	return 2;
}

/* In place of memory/replica/ram_copies.c */
void ram_copies_read_stats(const struct ram_copies *c,
			   struct ram_copies_stats *out)
{
	assert_ptr_equal(c, &vm);
	*out = (struct ram_copies_stats){ .shared = 20,
					  .now = { 1, 2, 3 },
					  .made = { 3, 4, 5 },
					  .dropped = { 5, 6, 7 },
					  .writes = { 7, 8, 9 },
					  .collapsed = 21 };
}

void views_read_figures(const struct views *v, struct views_figures *f)
{
	assert_ptr_equal(v, &vm);
	for (unsigned k = 0; k < GHOST_NR_EVENTS; k++)
		f->sent[k] = 10 + k;
}

/* --- the I/O thread --- */

static uint64_t answered; /* the last id */
static unsigned answers;

static void answer(void *arg, uint64_t id)
{
	assert_ptr_equal(arg, &vm);
	answered = id;
	answers++;
	stats_fill(&stats, &usage);
}

/* One turn of the loop, if something is ready. */
static void turn(void)
{
	struct epoll_event e;

	if (epoll_wait(vm.loop.epoll_fd, &e, 1, 1) == 1)
		((struct io_watch *)e.data.ptr)->ready(e.data.ptr, e.events);
}

static void wait_answer(unsigned nr)
{
	uint64_t end = wait_end_ns();

	while (answers < nr) {
		turn();
		assert_true(clock_now_ns() < end);
	}
}

static void wait_begun(void)
{
	WAIT_UNTIL(sem_trywait(&begun) == 0);
}

static int set_up(void **state)
{
	(void)state;
	/* The surveyor of the last test is gone, or looks at nothing here. */
	memset(&vm, 0, sizeof(vm));
	vm.node = 3;
	held = false;
	nr_surveys = nr_exact = answers = 0;
	answered = 0;
	(void)sem_init(&begun, 0, 0);
	(void)sem_init(&go_on, 0, 0);
	if (io_loop_init(&vm.loop))
		return -1;
	return stats_create(&stats, &vm, answer, &vm);
}

static int tear_down(void **state)
{
	bool running = true;

	(void)state;
	held = false;
	stats_end(&stats);
	while (running) {
		(void)pthread_mutex_lock(&stats.lock);
		running = stats.running;
		(void)pthread_mutex_unlock(&stats.lock);
		(void)usleep(100);
	}
	(void)close(stats.maps);
	(void)close(stats.pagemap);
	(void)close(stats.done.fd);
	io_loop_destroy(&vm.loop);
	return 0;
}

/* There are figures, and the surveyor rests. */
static void start_known(void)
{
	assert_int_equal(stats_start(&stats), 0);
	wait_begun();
	WAIT_UNTIL((stats_fill(&stats, &usage), usage.ram_pages == 101));
}

/* Then an exact survey has begun, and does not end. */
static void start_held(void)
{
	start_known();
	held = true;
	assert_false(stats_ask(&stats, 1, true));
	wait_begun();
}

/* A survey is held, and those who ask are answered by the last one. */
static void who_asks_does_not_wait(void **state)
{
	(void)state;
	start_held();
	for (uint64_t id = 2; id < 100; id++)
		assert_true(stats_ask(&stats, id, false));
	stats_fill(&stats, &usage);
	assert_true(usage.ram_pages == 101 && !usage.ram_exact);
	assert_true(usage.ram_age_ns > 0);
	turn();
	assert_int_equal(answers, 0);
	(void)sem_post(&go_on);
	wait_answer(1);
	assert_int_equal(answered, 1);
	assert_true(usage.ram_pages == 102 && usage.ram_exact);
	assert_int_equal(nr_exact, 1);
}

/* Nor does the end of the guest, which surveys nothing. */
static void the_end_does_not_wait(void **state)
{
	(void)state;
	start_held();
	stats_end(&stats);
	stats_fill(&stats, &usage);
	assert_int_equal(usage.ram_pages, 101);
	assert_int_equal(nr_surveys, 2); /* the second was stopped */
}

static void an_early_end_has_figures(void **state)
{
	(void)state;
	assert_int_equal(stats_start(&stats), 0);
	stats_end(&stats);
	stats_fill(&stats, &usage);
	assert_int_equal(usage.ram_pages, 101);
	assert_true(nr_surveys == 1 && nr_exact == 0);
}

/* No surveyor: the worker has failed before. */
static void an_end_without_a_start(void **state)
{
	(void)state;
	stats_end(&stats);
	stats_fill(&stats, &usage);
	assert_true(usage.ram_pages == 0 && usage.ram_age_ns == 0);
}

static void the_first_waits_for_figures(void **state)
{
	(void)state;
	assert_false(stats_ask(&stats, 5, false));
	assert_false(stats_ask(&stats, 6, false)); /* one answer is enough */
	assert_int_equal(stats_start(&stats), 0);
	wait_answer(1);
	assert_int_equal(answered, 6);
	assert_true(usage.ram_pages == 101 && nr_surveys == 1);
	assert_true(stats_ask(&stats, 7, false));
}

static void figures_of_another_node_are_over(void **state)
{
	(void)state;
	start_known();
	assert_int_equal(node_asked, 3);
	vm.node = 1;
	stats_moved(&stats);
	assert_false(stats_ask(&stats, 9, false));
	wait_answer(1);
	assert_int_equal(answered, 9);
	assert_true(node_asked == 1 && usage.ram_pages == 102);
	assert_int_equal(usage.ram_pages_local, 90);
	assert_true(usage.ram_on[0].node == 1 && usage.ram_on[0].pages == 90);
	assert_true(usage.ram_on[1].node == 3 && usage.ram_on[1].pages == 12);
	assert_int_equal(usage.ram_on[2].pages, 0);
	assert_true(stats_ask(&stats, 10, false));
}

/* A survey was under way when the guest moved: it does not do. */
static void a_survey_of_another_node_is_repeated(void **state)
{
	(void)state;
	start_held();
	vm.node = 2;
	stats_moved(&stats);
	(void)sem_post(&go_on);
	wait_begun();
	turn();
	assert_int_equal(answers, 0);
	held = false;
	wait_answer(1);
	assert_true(node_asked == 2 && usage.ram_exact && nr_exact == 2);
}

static void figures_of_copies_are_added(void **state)
{
	static struct worker_spec spec;

	(void)state;
	start_known();
	vm.copies = (void *)&vm;
	vm.spec = &spec;
	spec.wide.nr_nodes = 2;
	spec.wide.copies_bytes = 5 * PAGE_BYTES;
	stats_fill(&stats, &usage);
	assert_int_equal(usage.copies_limit, 5);
	assert_int_equal(usage.copies[1].now, 2);
	assert_int_equal(usage.copies[1].made, 4);
	assert_int_equal(usage.copies[1].dropped, 6);
	assert_int_equal(usage.copies[1].waits, 8);
	assert_int_equal(usage.copies[2].now, 0);
	assert_int_equal(usage.device_waits, 9);
	assert_int_equal(usage.copied_pages, 20);
	assert_int_equal(usage.collapsed, 21);
}

static void figures_of_views_are_added(void **state)
{
	(void)state;
	start_known();
	stats_fill(&stats, &usage);
	assert_int_equal(usage.nr_views, 0);
	vm.kvms.views = (void *)&vm;
	stats_fill(&stats, &usage);
	assert_int_equal(usage.nr_views, 2);
	assert_int_equal(usage.sent[WORKER_SENT_NOTHING], 10);
	assert_int_equal(usage.sent[WORKER_SENT_VECTORS], 11);
	assert_int_equal(usage.sent[WORKER_SENT_STARTUPS], 14);
}

static void nobody_is_answered_who_has_gone(void **state)
{
	(void)state;
	start_held();
	stats_forget(&stats);
	held = false;
	WAIT_UNTIL((stats_fill(&stats, &usage), usage.ram_pages == 102));
	turn();
	assert_int_equal(answers, 0);
}

static void an_exact_one_begins_when_it_is_asked_for(void **state)
{
	(void)state;
	start_held();
	assert_false(stats_ask(&stats, 2, true)); /* too late for this one */
	(void)sem_post(&go_on);
	wait_begun();
	turn();
	assert_int_equal(answers, 0);
	held = false;
	wait_answer(1);
	assert_true(answered == 2 && nr_exact == 2);
}

/* --- private memory --- */

/* Private_* of /proc/self/smaps, but for [@from, @to). */
static uint64_t smaps_private(const uint8_t *from, const uint8_t *to)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	unsigned long start, end, kib, sum = 0;
	char line[4400];
	bool counts = false;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			counts = start < (uintptr_t)from || end > (uintptr_t)to;
		else if (counts &&
			 (sscanf(line, "Private_Clean: %lu", &kib) == 1 ||
			  sscanf(line, "Private_Dirty: %lu", &kib) == 1))
			sum += kib * 1024;
	}
	(void)fclose(f);
	return sum;
}

static void private_memory_is_as_the_kernel_says(void **state)
{
	const size_t bytes = MIB(64);
	int maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint8_t *ram = mmap(NULL, 2 * bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct ram_view view = { .hva = ram, .bytes = bytes };
	struct ram_window window = { .hva = ram + bytes / 2,
				     .bytes = 3 * bytes / 2 };
	uint64_t before, more, all, smaps;

	(void)state;
#ifdef DISCO_SANITIZED
	SKIP("a sanitizer's own memory is left out");
#endif
	assert_true(maps >= 0 && pagemap >= 0 && ram != MAP_FAILED);
	/* Three mappings: RAM, and what is beside it. */
	assert_int_equal(mprotect(ram + bytes / 2, bytes / 2, PROT_READ), 0);
	before = private_count(maps, pagemap, &view);
	memset(ram, 1, MIB(8));		 /* RAM */
	memset(ram + bytes, 1, MIB(16)); /* beside it */
	more = private_count(maps, pagemap, &view);
	/* Tables and stacks grow a little; RAM would be 8 MiB. */
	assert_in_range(more - before, MIB(16), MIB(18));
	all = private_count(maps, pagemap, &view);
	smaps = smaps_private(ram, ram + bytes);
	assert_true(all + KIB(512) > smaps && all < smaps + KIB(512));
	view.windows[view.nr_windows++] = &window;
	assert_in_range(more - private_count(maps, pagemap, &view), MIB(14),
			MIB(17));
	/* A mapping by which the vCPUs of a view use the same memory. */
	view.nr_windows = 0;
	view.views[view.nr_views++] = ram + bytes;
	assert_in_range(more - private_count(maps, pagemap, &view), MIB(14),
			MIB(17));
	assert_int_equal(private_count(-1, pagemap, &view), 0);
	(void)munmap(ram, 2 * bytes);
	(void)close(maps);
	(void)close(pagemap);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(who_asks_does_not_wait),
		TEST(the_end_does_not_wait),
		TEST(an_early_end_has_figures),
		TEST(an_end_without_a_start),
		TEST(the_first_waits_for_figures),
		TEST(figures_of_another_node_are_over),
		TEST(a_survey_of_another_node_is_repeated),
		TEST(figures_of_views_are_added),
		TEST(figures_of_copies_are_added),
		TEST(nobody_is_answered_who_has_gone),
		TEST(an_exact_one_begins_when_it_is_asked_for),
		cmocka_unit_test(private_memory_is_as_the_kernel_says),
	};

	return cmocka_run_group_tests_name("stats", tests, NULL, NULL);
}
