/* SPDX-License-Identifier: BSD-2-Clause */
/* References in frames: how they are made, to whom they go, and who lies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/vnet/ports.h"

#define IMAGE 0x1234567890ull
#define BYTES 9000u

static struct ports p;

static int setup(void **state)
{
	(void)state;
	ports_create(&p, 3);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ports_destroy(&p);
	return 0;
}

static void blocks_become_runs(void **state)
{
	struct vnet_refs r = { .image = 0 };

	(void)state;
	assert_false(vnet_refs_check(&r));
	for (uint64_t b = 100; b < 116; b++)
		assert_true(vnet_refs_add(&r, IMAGE, b));
	assert_true(vnet_refs_add(&r, IMAGE, 7));
	assert_true(vnet_refs_add(&r, IMAGE, VNET_REF_LAST));
	assert_int_equal(r.runs[0], 100 << 8 | 16);
	assert_int_equal(r.runs[1], 7 << 8 | 1);
	assert_int_equal(r.runs[3], 0);
	assert_int_equal(vnet_refs_count(&r), 18);
	assert_true(vnet_refs_check(&r));
	/* Of one image, and with numbers that fit. */
	assert_false(vnet_refs_add(&r, IMAGE + 1, 8));
	assert_false(vnet_refs_add(&r, IMAGE, VNET_REF_LAST + 1));
	assert_int_equal(vnet_refs_count(&r), 18);
	/* As many runs as there are, and blocks as may be. */
	assert_true(vnet_refs_add(&r, IMAGE, 20));
	assert_true(vnet_refs_add(&r, IMAGE, 30));
	assert_false(vnet_refs_add(&r, IMAGE, 40));
	for (uint64_t b = 31; vnet_refs_count(&r) < VNET_REF_BLOCKS; b++)
		assert_true(vnet_refs_add(&r, IMAGE, b));
	assert_false(vnet_refs_add(&r, IMAGE, 42));
	assert_true(vnet_refs_check(&r));
}

static void what_is_none_is_refused(void **state)
{
	static const struct vnet_refs bad[] = {
		{ .image = IMAGE },
		{ .image = 0, .runs = { 5 << 8 | 1 } },
		{ .image = IMAGE, .runs = { 5 << 8 } }, /* no blocks */
		{ .image = IMAGE, .runs = { 5 << 8 | 1, 6 << 8 } },
		{ .image = IMAGE, .runs = { 5 << 8 | 1, 0, 6 << 8 | 1 } },
		{ .image = IMAGE, .runs = { 0, 6 << 8 | 1 } },
		{ .image = IMAGE, .runs = { 5 << 8 | (VNET_REF_BLOCKS + 1) } },
		{ .image = IMAGE, .runs = { 5 << 8 | 255, 5 << 8 | 255 } },
		{ .image = UINT64_MAX, .runs = { UINT64_MAX, UINT64_MAX } },
	};
	static const struct vnet_refs none;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		struct vnet_refs r = bad[i];

		assert_false(vnet_refs_check(&r));
		assert_memory_equal(&r, &none, sizeof(r));
	}
}

/* One frame with a reference, from port 0. */
static void refer(struct vnet_peer *to, struct vnet_buf *b)
{
	assert_int_equal(vnet_port_room(p.of[0], to, BYTES), 0);
	vnet_port_begin(p.of[0], BYTES, b);
	assert_int_equal(b->refs.image, 0);
	memset(b->bytes, 5, BYTES);
	assert_true(vnet_refs_add(&b->refs, IMAGE, 42));
	vnet_port_send(p.of[0], b, to, BYTES, false);
	vnet_port_flush(p.of[0]);
}

static void take(uint32_t who, struct vnet_frame *f)
{
	assert_true(vnet_port_next(p.of[who], f));
	assert_int_equal(f->len, BYTES);
	assert_int_equal(f->bytes[0], 5);
	assert_int_equal(f->bytes[BYTES - 1], 5);
	vnet_port_take(p.of[who], f);
	vnet_port_settle(p.of[who]);
}

static void they_go_to_who_shares(void **state)
{
	struct vnet_frame f;
	struct vnet_buf b;

	(void)state;
	p.of[0]->peers[1]->station.shares = true;
	p.of[1]->peers[0]->station.shares = true;
	refer(p.of[0]->peers[1], &b);
	take(1, &f);
	assert_int_equal(f.refs.image, IMAGE);
	assert_int_equal(f.refs.runs[0], 42 << 8 | 1);
	assert_int_equal(f.refs.runs[1], 0);
	/* Others, and all at once, get the bytes alone. */
	refer(p.of[0]->peers[2], &b);
	take(2, &f);
	assert_int_equal(f.refs.image, 0);
	refer(NULL, &b);
	for (uint32_t i = 1; i < 3; i++) {
		take(i, &f);
		assert_int_equal(f.refs.image, 0);
		assert_int_equal(p.of[i]->stats.bad, 0);
	}
	/* A chunk is used again: what was in it is no reference of the next. */
	assert_int_equal(ports_send(&p, 0, p.of[0]->peers[1], BYTES, 5), 0);
	take(1, &f);
	assert_int_equal(f.refs.image, 0);
}

/* What a worker writes that a guest has taken over; the frame is one all the same. */
static void liars_are_counted(void **state)
{
	struct vnet_frame f;
	struct vnet_buf b;

	(void)state;
	p.of[0]->peers[1]->station.shares = true;
	p.of[0]->peers[2]->station.shares = true;
	p.of[1]->peers[0]->station.shares = true;
	refer(p.of[0]->peers[1], &b);
	memset(b.bytes - VNET_HDR_ROOM + VNET_REFS_AT, 0xff,
	       sizeof(struct vnet_refs));
	/* Looked at twice, as without buffers; counted once. */
	assert_true(vnet_port_next(p.of[1], &f));
	take(1, &f);
	assert_int_equal(f.refs.image, 0);
	assert_int_equal(p.of[1]->stats.bad, 1);
	assert_int_equal(p.of[1]->stats.received, 1);
	/* Port 2 shares nothing with port 0, whatever that one believes. */
	refer(p.of[0]->peers[2], &b);
	take(2, &f);
	assert_int_equal(f.refs.image, 0);
	assert_int_equal(p.of[2]->stats.bad, 1);
	assert_int_equal(p.of[2]->stats.received, 1);
	/* A reference that changes after it was looked at is the copy that was. */
	refer(p.of[0]->peers[1], &b);
	assert_true(vnet_port_next(p.of[1], &f));
	memset(b.bytes - VNET_HDR_ROOM + VNET_REFS_AT, 0xff,
	       sizeof(struct vnet_refs));
	assert_int_equal(f.refs.runs[0], 42 << 8 | 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_become_runs),
		cmocka_unit_test(what_is_none_is_refused),
		cmocka_unit_test_setup_teardown(they_go_to_who_shares, setup,
						teardown),
		cmocka_unit_test_setup_teardown(liars_are_counted, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
