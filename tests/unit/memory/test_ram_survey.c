/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Surveys of guest memory, compared with a walk over all of its pages. Memory
 * is sparse, so sizes do not matter to the machine.
 */
#include <errno.h>
#include <numaif.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory/ram_survey.h"
#include "numa/bind.h"
#include "tests/unit/support.h"

#define SOURCE_PAGES 700u

static int ram_fd, source_fd;
static struct ram_view view;
static struct pmap *pm;
static struct pmap_source source;
static unsigned source_id;

static int memfd(uint64_t bytes)
{
	int fd = memfd_create("survey", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	return fd;
}

static void make(uint64_t bytes)
{
	if (move_pages(0, 0, NULL, NULL, NULL, 0) < 0)
		SKIP("no move_pages(2) here");
	ram_fd = memfd(bytes);
	assert_int_equal(ram_view_create(&view, ram_fd, bytes), 0);
	assert_int_equal(pmap_create(&view, pmap_budget(), &pm), 0);
	source_fd = memfd(SOURCE_PAGES * PAGE_BYTES);
	source = (struct pmap_source){ .fd = source_fd };
	assert_int_equal(pmap_add_source(pm, &source, &source_id), 0);
}

static void end(void)
{
	pmap_destroy(pm);
	ram_view_destroy(&view);
	(void)close(ram_fd);
	(void)close(source_fd);
}

static void touch(uint64_t first, uint64_t nr)
{
	for (uint64_t i = first; i < first + nr; i++)
		view.hva[i * PAGE_BYTES] = 1;
}

static struct ram_survey survey(uint64_t budget)
{
	const struct ram_survey_ask ask = { .budget = budget, .seed = 7 };
	struct ram_survey s;

	assert_int_equal(ram_survey(&view, pm, &ask, &s), 0);
	return s;
}

static void expect_exact(struct ram_survey s, uint64_t pages)
{
	assert_true(s.exact);
	assert_int_equal(s.pages, pages);
}

/* As move_pages(2) of each page has it. */
static uint64_t pages_on(nodeid_t node, uint64_t *pages)
{
	uint64_t local;

	assert_int_equal(
		node_pages_local(view.hva, view.bytes, node, pages, &local), 0);
	return local;
}

static void small_memory_is_counted(void **state)
{
	uint64_t pages, local;
	struct ram_survey s;

	(void)state;
	make(MIB(96));
	expect_exact(survey(RAM_SURVEY_PAGES), 0);
	touch(0, 3);
	touch(511, 2);
	touch(20000, 1000);
	touch(MIB(96) / PAGE_BYTES - 1, 1);
	local = pages_on(0, &pages);
	assert_int_equal(pages, 1006);
	s = survey(RAM_SURVEY_PAGES);
	expect_exact(s, pages);
	assert_int_equal(node_counts_of(&s.on, 0), local);
	assert_int_equal(node_counts_of(&s.on, NODE_ID_MAX), 0);
	assert_int_equal(node_counts_sum(&s.on), pages);
	end();
}

/* RAM under an overlay is a hole. */
static void overlays_are_looked_at(void **state)
{
	uint64_t pages;

	(void)state;
	make(GIB(64));
	assert_int_equal(pmap_show(pm, view.hva, 10, source_id, 3), 0);
	assert_int_equal(
		pmap_show(pm, view.hva + GIB(40), SOURCE_PAGES, source_id, 0),
		0);
	touch(5, 2);
	touch(GIB(40) / PAGE_BYTES, SOURCE_PAGES);
	assert_int_equal(pages_on(0, &pages), 2 + SOURCE_PAGES);
	expect_exact(survey(RAM_SURVEY_ALL), pages);
	expect_exact(survey(RAM_SURVEY_PAGES), pages);
	end();
}

/* However large it is: no more pages are looked at than the budget has. */
static void large_memory_is_sampled(void **state)
{
	(void)state;
	for (uint64_t bytes = GIB(1); bytes <= GIB(256); bytes *= 4) {
		uint64_t apart = bytes / PAGE_BYTES / 32;
		struct ram_survey s;

		make(bytes);
		/* 32 times 4 MiB, and single pages. */
		for (uint64_t i = 0; i < 32; i++) {
			touch(i * apart, 1024);
			touch(i * apart + apart / 2, 1);
		}
		s = survey(RAM_SURVEY_PAGES);
		assert_true(s.looked <= RAM_SURVEY_PAGES);
		assert_in_range(s.pages, 32 * 1024 * 8 / 10,
				32 * 1024 * 12 / 10);
		/* The host's only node. */
		assert_int_equal(node_counts_of(&s.on, 0), s.pages);
		s = survey(RAM_SURVEY_ALL);
		expect_exact(s, 32 * 1025);
		assert_int_equal(node_counts_of(&s.on, 0), 32 * 1025);
		end();
	}
}

static unsigned batches;

static bool stop_at_third(void *arg)
{
	return arg == &batches && ++batches == 3;
}

static void it_can_be_stopped(void **state)
{
	const struct ram_survey_ask ask = { .budget = RAM_SURVEY_ALL,
					    .stop = stop_at_third,
					    .arg = &batches };
	struct ram_survey s = { .pages = 77 };

	(void)state;
	make(GIB(1));
	touch(0, 4096);
	batches = 0;
	assert_int_equal(ram_survey(&view, pm, &ask, &s), -ECANCELED);
	assert_true(batches == 3 && s.pages == 77);
	end();
}

/* vCPUs of a guest with views have mappings of their own. */
static void memory_of_other_mappings_is_counted(void **state)
{
	struct ram_survey_ask ask = { .budget = RAM_SURVEY_ALL, .map = true };
	struct stat before, after;
	struct ram_survey s;
	uint8_t *other;

	(void)state;
	make(MIB(64));
	other = mmap(NULL, MIB(64), PROT_READ | PROT_WRITE, MAP_SHARED, ram_fd,
		     0);
	assert_ptr_not_equal(other, MAP_FAILED);
	for (uint64_t page = 0; page < MIB(64) / PAGE_BYTES; page += 5)
		other[page * PAGE_BYTES] = 1;
	assert_int_equal(fstat(ram_fd, &before), 0);
	expect_exact(survey(RAM_SURVEY_ALL), 0);
	assert_int_equal(ram_survey(&view, pm, &ask, &s), 0);
	expect_exact(s, (MIB(64) / PAGE_BYTES + 4) / 5);
	/* Holes are holes still. */
	assert_int_equal(fstat(ram_fd, &after), 0);
	assert_int_equal(before.st_blocks, after.st_blocks);
	(void)munmap(other, MIB(64));
	end();
}

/* What is mapped is what is looked at: no walk through all memory comes first. */
static void no_more_is_mapped_than_is_looked_at(void **state)
{
	const struct ram_survey_ask ask = { .budget = RAM_SURVEY_ALL,
					    .map = true,
					    .stop = stop_at_third,
					    .arg = &batches };
	struct ram_survey s;
	uint64_t local, pages;
	uint8_t *other;

	(void)state;
	make(MIB(256));
	other = mmap(NULL, MIB(256), PROT_READ | PROT_WRITE, MAP_SHARED, ram_fd,
		     0);
	assert_ptr_not_equal(other, MAP_FAILED);
	memset(other, 1, MIB(256));
	batches = 0;
	assert_int_equal(ram_survey(&view, pm, &ask, &s), -ECANCELED);
	assert_int_equal(
		node_pages_local(view.hva, view.bytes, 0, &pages, &local), 0);
	/* With what the kernel maps around a page, or 2 MiB at a time. */
	assert_in_range(pages, 1, MIB(256) / PAGE_BYTES / 2);
	(void)munmap(other, MIB(256));
	end();
}

static void counts_by_node(void **state)
{
	struct node_counts c = { .nr = 0 };
	void *page = &counts_by_node;

	(void)state;
	assert_int_equal(node_pages_at(&page, NODE_PAGES_MAX + 1, &c), -EINVAL);
	assert_int_equal(c.nr, 0);
	node_counts_add(&c, 5, 2);
	node_counts_add(&c, 0, 1);
	node_counts_add(&c, 5, 4);
	assert_int_equal(c.nr, 2);
	assert_int_equal(node_counts_of(&c, 5), 6);
	assert_int_equal(node_counts_of(&c, 1), 0);
	assert_int_equal(node_counts_sum(&c), 7);
	for (nodeid_t i = 0; i < 2 * MAX_NODES; i++)
		node_counts_add(&c, i, 1);
	assert_int_equal(c.nr, MAX_NODES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_memory_is_counted),
		cmocka_unit_test(overlays_are_looked_at),
		cmocka_unit_test(large_memory_is_sampled),
		cmocka_unit_test(it_can_be_stopped),
		cmocka_unit_test(memory_of_other_mappings_is_counted),
		cmocka_unit_test(no_more_is_mapped_than_is_looked_at),
		cmocka_unit_test(counts_by_node),
	};

	return cmocka_run_group_tests_name("ram_survey", tests, NULL, NULL);
}
