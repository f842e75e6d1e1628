/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/virtio/negative.h"

#include <stdlib.h>
#include <string.h>

static struct echo_dev *from_dev(struct virtio_dev *v)
{
	return container_of(v, struct echo_dev, v);
}

/* Touch every byte's page that the chain claims to have. */
static void touch(const struct vq_chain *c)
{
	uint8_t byte;

	for (unsigned i = 0; i < c->nr_out + c->nr_in; i++) {
		const struct iovec *v = &c->iov[i];
		struct iovec last = { (uint8_t *)v->iov_base + v->iov_len - 1,
				      1 };

		(void)iov_read(v, 1, 0, &byte, 1);
		(void)iov_read(&last, 1, 0, &byte, 1);
		if (i >= c->nr_out)
			(void)iov_write(&last, 1, 0, "!", 1);
	}
}

static enum virtio_served serve(struct virtio_dev *v, unsigned queue)
{
	struct echo_dev *e = from_dev(v);

	for (unsigned budget = VQ_MAX_SIZE; budget; budget--) {
		if (!virtio_pop(v, queue, &e->last)) {
			if (e->refill)
				ring_offer(e->refill, 0);
			return SERVED_ALL;
		}
		e->taken++;
		touch(&e->last);
		if (e->keep) {
			e->kept[e->nr_kept++] = e->last.head;
			virtio_hold(v);
		} else {
			virtio_push(v, queue, e->last.head, 0);
		}
	}
	return SERVED_SOME;
}

static void reset(struct virtio_dev *v)
{
	must(from_dev(v)->nr_kept == 0);
}

static const struct virtio_ops echo_ops = {
	.type = 42, .nr_queues = 2, .serve = serve, .reset = reset
};

void echo_complete(struct echo_dev *e)
{
	(void)pthread_mutex_lock(&e->v.lock);
	virtio_push(&e->v, 0, e->kept[--e->nr_kept], 0);
	virtio_release(&e->v);
	(void)pthread_mutex_unlock(&e->v.lock);
}

/* Processor time: another program on the machine is no failure of ours. */
static uint64_t cpu_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int make(void **state, uint64_t ram)
{
	struct bench *b = calloc(1, sizeof(*b));

	must(b);
	fake_host_create(&b->h, ram);
	must(virtio_init(&b->dev.v, &b->h.host, &echo_ops, 0, NULL, 0) == 0);
	driver_attach(&b->d, &b->h, &b->dev.v);
	b->r = &b->d.rings[0];
	*state = b;
	b->started_ns = cpu_ns();
	return 0;
}

static int start(void **state)
{
	struct bench *b = *state;

	driver_start(&b->d, 0, 2, NEGATIVE_SIZE);
	b->started_ns = cpu_ns();
	return 0;
}

int bench_setup_idle(void **state)
{
	return make(state, NEGATIVE_RAM);
}

int bench_setup(void **state)
{
	return make(state, NEGATIVE_RAM) || start(state);
}

int bench_setup_hole(void **state)
{
	return make(state, RAM_LOW_END + NEGATIVE_RAM) || start(state);
}

int bench_teardown(void **state)
{
	struct bench *b = *state;

	while (b->dev.nr_kept)
		echo_complete(&b->dev);
	virtio_destroy(&b->dev.v);
	fake_host_destroy(&b->h);
	free(b);
	return 0;
}

void bench_offer(struct bench *b, uint16_t head)
{
	ring_offer(b->r, head);
	driver_kick(&b->d, 0);
}

void expect_in_time(const struct bench *b)
{
	assert_in_range((cpu_ns() - b->started_ns) / 1000000, 0,
			wait_limit_ms(NEGATIVE_MS) - 1);
}

/* A driver that starts over finds a device that works. */
static void expect_works_after_reset(struct bench *b)
{
	unsigned before;

	while (b->dev.nr_kept)
		echo_complete(&b->dev);
	driver_start(&b->d, 0, 2, NEGATIVE_SIZE);
	before = b->dev.taken;
	b->dev.keep = false;
	ring_desc(b->r, 0, DATA_GPA, 8, 0, 0);
	bench_offer(b, 0);
	assert_int_equal(b->dev.taken, before + 1);
	assert_int_equal(ring_used_index(b->r), 1);
	assert_int_equal(driver_status(&b->d) & VIRTIO_STATUS_NEEDS_RESET, 0);
}

void expect_needs_reset(struct bench *b)
{
	unsigned taken = b->dev.taken;

	expect_in_time(b);
	assert_int_equal(driver_status(&b->d) & VIRTIO_STATUS_NEEDS_RESET,
			 VIRTIO_STATUS_NEEDS_RESET);
	assert_int_equal(fake_host_msis(&b->h, MSG_CONFIG), !b->before_ok);
	driver_kick(&b->d, 0);
	driver_kick(&b->d, 1);
	assert_int_equal(b->dev.taken, taken);
	expect_works_after_reset(b);
	assert_int_equal(b->h.reports, 1);
	assert_int_equal(b->h.stops, 0);
}

void expect_served(struct bench *b, uint64_t out, uint64_t in)
{
	expect_in_time(b);
	assert_int_equal(b->dev.taken, 1);
	assert_int_equal(b->dev.last.out_bytes, out);
	assert_int_equal(b->dev.last.in_bytes, in);
	assert_int_equal(ring_used_index(b->r), 1);
	assert_int_equal(driver_status(&b->d) & VIRTIO_STATUS_NEEDS_RESET, 0);
	expect_works_after_reset(b);
}

void expect_dropped(struct bench *b)
{
	expect_in_time(b);
	assert_int_equal(b->dev.taken, 0);
	assert_int_equal(driver_status(&b->d) & VIRTIO_STATUS_NEEDS_RESET, 0);
	expect_works_after_reset(b);
}
