/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames to pages: against an array that is searched, over random changes in a
 * table that is nearly full; then the source that needs it, over a window.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "memory/placement/frames.h"
#include "memory/sources/source_flash.h"
#include "tests/unit/support.h"

#define PAGES  200u
#define FRAMES 300u

static void pages_are_found_by_frame(void **state)
{
	uint64_t exact[PAGES] = { 0 }, page;
	struct frame_map *m;

	(void)state;
	assert_int_equal(frame_map_create(&m, PAGES), 0);
	srandom(22);
	for (unsigned i = 0; i < 200000; i++) {
		uint64_t p = (uint64_t)random() % PAGES;
		uint64_t f = random() % 8 ? 1 + (uint64_t)random() % FRAMES : 0;

		for (unsigned j = 0; f && j < PAGES; j++)
			if (exact[j] == f)
				exact[j] = 0;
		exact[p] = f;
		frame_map_set(m, p, f);
		f = 1 + (uint64_t)random() % FRAMES;
		page = PAGES;
		for (unsigned j = 0; j < PAGES; j++)
			if (exact[j] == f)
				page = j;
		p = PAGES;
		assert_int_equal(frame_map_find(m, f, &p), page != PAGES);
		assert_int_equal(p, page);
	}
	frame_map_destroy(m);
}

static void limits_hold(void **state)
{
	struct frame_map *m = NULL;
	uint64_t page = 7;

	(void)state;
	assert_int_equal(frame_map_create(&m, 0), -EINVAL);
	assert_int_equal(frame_map_create(&m, (1ull << 28) + 1), -EINVAL);
	frame_map_destroy(NULL);
	assert_int_equal(frame_map_create(&m, 1), 0);
	frame_map_set(m, 1, 5);
	frame_map_set(m, UINT64_MAX, 5);
	frame_map_set(m, 0, (uint64_t)FRAMES_MAX_FRAME + 1);
	assert_false(frame_map_find(m, 5, &page));
	assert_false(frame_map_find(m, 0, &page));
	assert_false(frame_map_find(m, UINT64_MAX, &page));
	frame_map_set(m, 0, FRAMES_MAX_FRAME);
	assert_int_equal(page, 7);
	assert_true(frame_map_find(m, FRAMES_MAX_FRAME, &page));
	assert_int_equal(page, 0);
	frame_map_destroy(m);
}

/* --- the flash source ------------------------------------------------------ */

/* A window without a file: two nodes, a CPU each; frames 0..15 of node 0. */
static struct flash flash;

static void make_window(void)
{
	struct flash_control *c;

	flash = (struct flash){ .bytes = FLASH_PAGES_OFFSET + 4096,
				.nr_cpus = 2,
				.nr_nodes = 2,
				.cores = 1,
				.trigger = 64,
				.nr_pages = 64 };
	flash.base = aligned_alloc(4096, flash.bytes);
	memset(flash.base, 0, flash.bytes);
	c = (void *)((char *)flash.base + FLASH_CONTROL_OFFSET);
	c->nr_ranges = 2;
	c->ranges[0] = (struct flash_range){ .end = 16 };
	c->ranges[1] =
		(struct flash_range){ .first = 16, .end = 32, .node = 1 };
}

static void put_hot(unsigned node, uint64_t frame, uint32_t kind)
{
	struct flash_queue *q =
		(void *)((char *)flash.base + FLASH_QUEUES_OFFSET);
	struct flash_hot *h = &q[node].hots[q[node].head % FLASH_QUEUE_HOTS];

	h->frame = frame;
	h->kind = kind;
	h->stamp = ++q[node].head;
}

static bool find_frame(void *arg, uint64_t frame, uint32_t *vm, uint64_t *page)
{
	*vm = 9;
	return frame_map_find(arg, frame, page);
}

static void hot_pages_become_records(void **state)
{
	struct flash_clock clock = { 0 };
	struct flash_source_config c = { .flash = &flash,
					 .clock = &clock,
					 .index_of = { 1, 0 },
					 .find = find_frame };
	struct access_record r[8];
	struct access_source *s;
	struct frame_map *m;

	(void)state;
	make_window();
	put_hot(0, 3, FLASH_READ); /* before there was a source */
	assert_int_equal(frame_map_create(&m, 10), 0);
	frame_map_set(m, 2, 3);
	frame_map_set(m, 4, 20);
	frame_map_set(m, 5, 40);
	c.arg = m;
	assert_int_equal(flash_source_create(&s, &c), 0);
	assert_string_equal(s->ops->name, "flash");
	assert_int_equal(access_read(s, r, 8), 0);
	put_hot(0, 20, FLASH_WRITE);
	put_hot(0, 21, FLASH_WRITE); /* of no VM */
	put_hot(0, 40, FLASH_WRITE); /* of no node */
	put_hot(1, 3, FLASH_READ);
	/* It is node 1's turn. */
	assert_int_equal(access_read(s, r, 1), 1);
	assert_int_equal(r[0].page, 2);
	assert_int_equal(r[0].node, 0);
	assert_int_equal(r[0].home, 1);
	assert_int_equal(r[0].kind, POLICY_READ);
	assert_int_equal(access_read(s, r, 8), 1);
	assert_int_equal(r[0].vm, 9);
	assert_int_equal(r[0].page, 4);
	assert_int_equal(r[0].weight, 64);
	assert_int_equal(r[0].node, 1);
	assert_int_equal(r[0].home, 0);
	assert_int_equal(r[0].kind, POLICY_WRITE);
	/* Nothing is counted: a fraction of the time that went by here. */
	assert_int_equal(r[0].time_ns, clock.now_ns);
	assert_true(clock.looked_ns > 0);
	assert_int_equal(s->strange, 2);
	assert_int_equal(s->lost, 0);
	access_destroy(s);
	access_destroy(NULL);
	flash.trigger = 0;
	assert_int_equal(flash_source_create(&s, &c), -EINVAL);
	frame_map_destroy(m);
	free(flash.base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_are_found_by_frame),
		cmocka_unit_test(limits_hold),
		cmocka_unit_test(hot_pages_become_records),
	};

	return cmocka_run_group_tests_name("frames", tests, NULL, NULL);
}
