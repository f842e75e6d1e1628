/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Three ports in three threads, each of which sends to the others, sleeps when
 * there is nothing to do, and waits for room. Every frame has a number and a
 * pattern; none is lost, late, twice or mixed up. Rings and chunks that are not in
 * use are given back to the kernel all the time, so many a ring begins again while
 * its receiver looks. Under ThreadSanitizer the order of all accesses is checked as
 * well.
 *
 * VNET_FRAMES: per pair (20,000; 2,000 under a sanitizer).
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>

#include "tests/unit/support.h"
#include "tests/unit/vnet/ports.h"

#ifdef DISCO_SANITIZED
#define FRAMES 2000u
#else
#define FRAMES 20000u
#endif
#define NR 3u

static struct ports p;
static uint64_t nr_frames;

struct side {
	uint32_t slot;
	uint64_t sent[NR], got[NR];
	uint32_t random;
	bool failed;
	uint64_t sleeps, wants, rests;
};

static uint32_t draw(struct side *s)
{
	s->random = s->random * 1664525u + 1013904223u;
	return s->random >> 8;
}

/* 16 to 3015 bytes. The number is in front, the pattern behind. */
static uint32_t size_of(uint64_t i)
{
	return 16 + (uint32_t)(i * 2654435761u >> 8) % 3000;
}

static void write_frame(uint8_t *at, uint64_t i)
{
	memset(at, (int)(i & 0xff), size_of(i));
	memcpy(at, &i, sizeof(i));
}

static bool right_frame(const struct vnet_frame *f, uint64_t want)
{
	uint64_t i;

	memcpy(&i, f->bytes, sizeof(i));
	return i == want && f->len == size_of(i) && f->bytes[8] == (uint8_t)i &&
	       f->bytes[f->len - 1] == (uint8_t)i;
}

static bool receive_some(struct side *s)
{
	struct vnet_port *port = p.of[s->slot];
	struct vnet_frame f;
	bool any = false;

	for (unsigned n = draw(s) % 100; n && vnet_port_next(port, &f); n--) {
		if (!right_frame(&f, s->got[f.from->slot]))
			s->failed = true;
		s->got[f.from->slot]++;
		vnet_port_take(port, &f);
		any = true;
	}
	vnet_port_settle(port);
	return any;
}

/* Return: true: all was sent, or there is no room anywhere. */
static bool send_some(struct side *s)
{
	struct vnet_port *port = p.of[s->slot];
	bool stuck = true;

	for (uint32_t to = 0; to < NR; to++) {
		struct vnet_peer *q = port->peers[to];
		struct vnet_buf b;

		for (unsigned n = draw(s) % 50 + 1;
		     to != s->slot && n && s->sent[to] < nr_frames; n--) {
			uint32_t bytes = size_of(s->sent[to]);

			if (vnet_port_room(port, q, bytes)) {
				s->wants++;
				stuck = vnet_port_want(port, q) && stuck;
				break;
			}
			vnet_port_begin(port, bytes, &b);
			write_frame(b.bytes, s->sent[to]++);
			vnet_port_send(port, &b, q, bytes, false);
			stuck = false;
		}
	}
	vnet_port_flush(port);
	return stuck;
}

/* Twice: what is empty has not changed since, and goes. */
static void rest_some(struct side *s)
{
	struct vnet_port *port = p.of[s->slot];
	unsigned rings = port->nr_rings;

	vnet_port_sweep(port);
	vnet_port_sweep(port);
	s->rests += rings - port->nr_rings;
}

static bool side_done(const struct side *s)
{
	for (uint32_t i = 0; i < NR; i++)
		if (i != s->slot &&
		    (s->sent[i] < nr_frames || s->got[i] < nr_frames))
			return false;
	return true;
}

static void *run_side(void *arg)
{
	struct side *s = arg;
	struct vnet_port *port = p.of[s->slot];

	while (!side_done(s) && !s->failed) {
		bool idle = !receive_some(s);

		rest_some(s);
		idle = send_some(s) && idle;
		if (!idle || !vnet_port_sleep(port))
			continue;
		s->sleeps++;
		if (!wait_readable(port->wake_fd)) {
			s->failed = true; /* a wake-up was lost */
			break;
		}
		vnet_port_awake(port);
	}
	vnet_port_settle(port);
	return NULL;
}

static void nothing_is_lost_or_mixed_up(void **state)
{
	struct side sides[NR];
	pthread_t threads[NR];
	uint64_t sleeps = 0, wants = 0, rests = 0;

	(void)state;
	for (uint32_t i = 0; i < NR; i++)
		sides[i] = (struct side){ .slot = i, .random = i + 1 };
	for (uint32_t i = 0; i < NR; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, run_side, &sides[i]),
			0);
	for (uint32_t i = 0; i < NR; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	for (uint32_t i = 0; i < NR; i++) {
		assert_false(sides[i].failed);
		assert_int_equal(p.of[i]->stats.bad, 0);
		sleeps += sides[i].sleeps;
		wants += sides[i].wants;
		rests += sides[i].rests;
	}
	print_message("# %llu frames per pair, %llu sleeps, %llu waits for "
		      "room, %llu rings given back\n",
		      (unsigned long long)nr_frames, (unsigned long long)sleeps,
		      (unsigned long long)wants, (unsigned long long)rests);
	/* Else it was not what it is for. */
	assert_true(sleeps > 0 && rests > 0);
}

int main(void)
{
	const char *text = getenv("VNET_FRAMES");
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_lost_or_mixed_up),
	};
	int failed;

	nr_frames = text ? strtoull(text, NULL, 10) : FRAMES;
	ports_create(&p, NR);
	failed = cmocka_run_group_tests_name("vnet_stress", tests, NULL, NULL);
	ports_destroy(&p);
	return failed;
}
