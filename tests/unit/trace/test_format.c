/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Traces as files: what is written is read again, in order; what was cut is read
 * as far as it goes; what is damaged is refused, with its place.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory/trace/trace_ring.h"
#include "memory/trace/trace_write.h"
#include "tests/unit/support.h"
#include "tests/unit/trace/files.h"

#define MANY 50000u

static uint32_t random_state;

static uint32_t below(uint32_t n)
{
	random_state = random_state * 1664525u + 1013904223u;
	return (random_state >> 8) % n;
}

/* Any sound access. */
static struct access_record any_access(uint64_t *time)
{
	*time += below(4) ? below(1000) : 0;
	return (struct access_record){
		.time_ns = *time,
		.page = below(100),
		.weight = 1 + below(3) * 1000000,
		.vcpu = (uint16_t)(below(10) ? below(300) : ACCESS_NO_VCPU),
		.node = (uint8_t)(below(10) ? below(2) : ACCESS_NO_NODE),
		.home = (uint8_t)(below(10) ? below(2) : ACCESS_NO_NODE),
		.kind = (uint8_t)below(3),
		.class = (uint8_t)below(ACCESS_NR_CLASSES),
		.page_flags = (uint8_t)below(8),
		.counted = (uint8_t)below(2),
	};
}

static int many_file(uint64_t *bytes_before_end)
{
	struct trace_info *i = info_make();
	int fd = file_make();
	struct trace_writer *w;
	uint64_t time = 5;

	random_state = 1;
	assert_int_equal(trace_writer_create(&w, fd, i), 0);
	for (unsigned n = 0; n < MANY; n++) {
		struct access_record r = any_access(&time);

		assert_int_equal(trace_writer_add(w, &r), 0);
		if (n % 1000 == 0)
			assert_int_equal(trace_writer_mark(w, time, "m"), 0);
	}
	*bytes_before_end = trace_writer_bytes(w);
	assert_int_equal(trace_writer_end(w, 7, 1234), 0);
	assert_int_equal(trace_writer_accesses(w), MANY);
	trace_writer_destroy(w);
	free(i);
	return fd;
}

/* Read all of it, and compare. Return: accesses. */
static uint64_t read_many(struct trace_reader *r, struct diag *d)
{
	uint64_t nr = 0, marks = 0, time = 5;
	struct trace_chunk c;
	int got;

	random_state = 1;
	while ((got = trace_next(r, &c, d)) > 0) {
		assert_int_equal(c.first, nr);
		for (uint32_t i = 0; i < c.nr; i++, nr++) {
			struct access_record want = any_access(&time);

			assert_memory_equal(&c.records[i], &want, sizeof(want));
		}
		for (uint32_t i = 0; i < c.nr_events; i++) {
			assert_int_equal(c.events[i].at, marks++ * 1000 + 1);
			assert_int_equal(c.events[i].kind, TRACE_MARK);
			assert_string_equal(c.events[i].text, "m");
		}
	}
	assert_int_equal(got, 0);
	return nr;
}

static void what_is_written_is_read(void **state)
{
	struct diag d = { .status = ST_OK };
	struct trace_reader *r;
	uint64_t bytes;

	(void)state;
	assert_int_equal(trace_open(&r, many_file(&bytes), "f", &d), 0);
	assert_int_equal(trace_info(r)->nr_nodes, 2);
	assert_int_equal(trace_info(r)->latency_ns[1], 900);
	assert_string_equal(trace_info(r)->vms[0].name, "a");
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(read_many(r, &d), MANY);
		assert_int_equal(trace_totals(r)->lost, 7);
		assert_int_equal(trace_totals(r)->compute_ns, 1234);
		assert_int_equal(trace_totals(r)->events, MANY / 1000);
		assert_false(trace_is_cut(r));
		trace_rewind(r);
	}
	trace_close(r);
}

/* At each of many lengths: no error, and nothing but what was written. */
static void a_cut_file_is_read_as_far_as_it_goes(void **state)
{
	uint64_t bytes, last = MANY + 1;
	int fd = many_file(&bytes);
	struct diag d = { .status = ST_OK };
	struct trace_reader *r;

	(void)state;
	for (uint64_t len = bytes + 16; len > 1000; len -= 997) {
		uint64_t nr;
		int copy = dup(fd);

		assert_int_equal(ftruncate(fd, (off_t)len), 0);
		assert_int_equal(trace_open(&r, copy, "f", &d), 0);
		nr = read_many(r, &d);
		assert_true(trace_is_cut(r));
		assert_true(nr <= last);
		last = nr;
		trace_close(r);
	}
	assert_int_equal(last, 0);
	assert_int_equal(ftruncate(fd, 17), 0);
	assert_int_equal(trace_open(&r, fd, "f", &d), -EBADMSG);
	assert_non_null(strstr(d.text, "f: block 0 at byte 16: the file ends"));
	(void)close(fd);
}

/* Each byte of a small file, changed: refused, or read without harm. */
static void damage_is_refused_with_its_place(void **state)
{
	struct trace_info *i = info_make();
	struct access_record a = access_of(1, 3, 1);
	unsigned refused = 0, at_a_block = 0;
	struct trace_writer *w;
	int fd = file_make();
	struct stat st;

	(void)state;
	assert_int_equal(trace_writer_create(&w, fd, i), 0);
	assert_int_equal(trace_writer_add(w, &a), 0);
	assert_int_equal(trace_writer_mark(w, 1, "x"), 0);
	assert_int_equal(trace_writer_end(w, 0, 0), 0);
	trace_writer_destroy(w);
	free(i);
	assert_int_equal(fstat(fd, &st), 0);
	for (off_t at = 0; at < st.st_size; at++) {
		struct diag d = { .status = ST_OK };
		struct trace_reader *r = NULL;
		struct trace_chunk c;
		uint8_t was, now;
		int got, copy = dup(fd);

		assert_int_equal(pread(fd, &was, 1, at), 1);
		now = was ^ 0x55;
		assert_int_equal(pwrite(fd, &now, 1, at), 1);
		got = trace_open(&r, copy, "f", &d);
		if (got)
			(void)close(copy);
		while (!got && (got = trace_next(r, &c, &d)) > 0)
			got = 0;
		trace_close(r);
		refused += got < 0;
		at_a_block += got < 0 && strstr(d.text, ": block ") != NULL;
		assert_true(got == 0 || d.status == ST_TRACE);
		assert_int_equal(pwrite(fd, &was, 1, at), 1);
	}
	/* Some bytes are never used: the zeroes of heads, a second length. */
	assert_true(refused * 10 > (unsigned)st.st_size * 8);
	assert_true(at_a_block + 13 > refused);
	(void)close(fd);
}

static void what_cannot_be_is_not_written(void **state)
{
	struct trace_info *i = info_make();
	struct trace_event e = { .kind = TRACE_NODE };
	struct access_record good = access_of(5, 3, 1), bad;
	struct trace_writer *w = NULL;
	int fd = file_make();

	(void)state;
	i->nr_nodes = 65;
	assert_int_equal(trace_writer_create(&w, fd, i), -EINVAL);
	i->nr_nodes = 2;
	i->vms[0].pages = 0;
	assert_int_equal(trace_writer_create(&w, fd, i), -EINVAL);
	i->vms[0].pages = 100;
	(void)memset(i->text, 'x', sizeof(i->text));
	assert_int_equal(trace_writer_create(&w, fd, i), -EINVAL);
	i->text[3] = '\0';
	assert_int_equal(trace_writer_create(&w, fd, i), 0);
	bad = good, bad.page = 100;
	assert_int_equal(trace_writer_add(w, &bad), -EINVAL);
	bad = good, bad.node = 2;
	assert_int_equal(trace_writer_add(w, &bad), -EINVAL);
	bad = good, bad.vm = 1;
	assert_int_equal(trace_writer_add(w, &bad), -EINVAL);
	bad = good, bad.weight = 0;
	assert_int_equal(trace_writer_add(w, &bad), -EINVAL);
	bad = good, bad.kind = 3;
	assert_int_equal(trace_writer_add(w, &bad), -EINVAL);
	e.node.node = 2;
	assert_int_equal(trace_writer_event(w, &e), -EINVAL);
	e.kind = 99;
	assert_int_equal(trace_writer_event(w, &e), -EINVAL);
	assert_int_equal(trace_writer_accesses(w), 0);
	/* Times do not go back. */
	assert_int_equal(trace_writer_add(w, &good), 0);
	good.time_ns = 1;
	assert_int_equal(trace_writer_add(w, &good), 0);
	assert_int_equal(trace_writer_end(w, 0, 0), 0);
	trace_writer_destroy(w);
	trace_writer_destroy(NULL);
	free(i);
	(void)close(fd);
}

/* --- rings ---------------------------------------------------------------- */

static void a_ring_loses_what_nobody_takes(void **state)
{
	struct trace_ring *r = aligned_alloc(128, TRACE_RING_BYTES);
	struct trace_ring_cursor c = { 0 };
	struct trace_item i = { .access = access_of(1, 2, 1) }, got;
	struct trace_item e = { .is_event = true,
				.event = { .kind = TRACE_MARK,
					   .time_ns = 9,
					   .vm = 3,
					   .more = 1,
					   .text = "phase" } };
	uint64_t taken = 0;

	(void)state;
	assert_non_null(r);
	memset(r, 0, TRACE_RING_BYTES);
	trace_ring_begin(r);
	assert_false(trace_ring_take(r, &c, &got));
	trace_ring_put(r, &i);
	trace_ring_put(r, &e);
	assert_true(trace_ring_take(r, &c, &got));
	assert_false(got.is_event);
	assert_memory_equal(&got.access, &i.access, sizeof(i.access));
	assert_true(trace_ring_take(r, &c, &got));
	assert_true(got.is_event);
	assert_memory_equal(&got.event, &e.event, sizeof(e.event));
	assert_false(trace_ring_take(r, &c, &got));
	for (uint64_t n = 0; n < TRACE_RING_SLOTS + 10; n++) {
		i.access.page = n;
		trace_ring_put(r, &i);
	}
	while (trace_ring_take(r, &c, &got)) {
		taken++;
		assert_int_equal(got.access.page + 2, c.next - 1);
	}
	assert_int_equal(taken, TRACE_RING_SLOTS / 2);
	assert_int_equal(taken + c.lost, TRACE_RING_SLOTS + 10);
	free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(a_cut_file_is_read_as_far_as_it_goes),
		cmocka_unit_test(damage_is_refused_with_its_place),
		cmocka_unit_test(what_cannot_be_is_not_written),
		cmocka_unit_test(a_ring_loses_what_nobody_takes),
	};

	return cmocka_run_group_tests_name("format", tests, NULL, NULL);
}
