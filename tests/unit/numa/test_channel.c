/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "numa/channel.h"
#include "numa/region.h"
#include "tests/unit/support.h"

#define NR_SLOTS 8u

/* A channel with both ends in this process, each region mapped as it is. */
struct pair {
	struct region ring, reader;
	struct region_view ring_view, reader_view;
	struct chan_shape shape;
	struct chan_tx tx;
	struct chan_rx rx;
	int tx_fd, rx_fd;
};

static void region_pair(struct region *r, struct region_view *v, size_t bytes)
{
	int fd;

	bytes = align_up(bytes, PAGE_BYTES);
	assert_int_equal(region_create(r, "chan", bytes, NODE_AUTO, 0), 0);
	assert_int_equal(region_reader_fd(r->fd, &fd), 0);
	assert_int_equal(region_attach(v, fd, bytes), 0);
	close(fd);
}

static void make(struct pair *p, uint32_t nr_slots, uint32_t msg_bytes)
{
	p->shape = (struct chan_shape){ nr_slots, msg_bytes };
	region_pair(&p->ring, &p->ring_view, chan_ring_bytes(p->shape));
	region_pair(&p->reader, &p->reader_view, sizeof(struct chan_reader));
	assert_int_equal(chan_wake_create(&p->tx_fd, &p->rx_fd), 0);
	assert_int_equal(chan_tx_init(&p->tx, p->shape, p->ring.base,
				      p->reader_view.base, p->tx_fd),
			 0);
	assert_int_equal(chan_rx_init(&p->rx, p->shape, p->reader.base,
				      p->ring_view.base, p->rx_fd),
			 0);
}

static void unmake(struct pair *p)
{
	close(p->tx_fd);
	close(p->rx_fd);
	region_detach(&p->ring_view);
	region_detach(&p->reader_view);
	region_destroy(&p->ring);
	region_destroy(&p->reader);
}

/* As if so many messages had gone through already. */
static void start_at(struct pair *p, uint32_t index)
{
	struct chan_ring *ring = p->ring.base;
	struct chan_reader *reader = p->reader.base;

	p->tx.tail = p->tx.head = p->rx.tail = p->rx.head = index;
	atomic_store(&ring->tail, index);
	atomic_store(&reader->head, index);
}

static void send_one(struct pair *p, uint64_t msg)
{
	assert_int_equal(chan_try_send(&p->tx, &msg), 0);
}

static void recv_one(struct pair *p, uint64_t want)
{
	uint64_t msg = ~want;

	assert_int_equal(chan_try_recv(&p->rx, &msg), 0);
	assert_int_equal(msg, want);
}

static bool readable(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return poll(&pfd, 1, 0) == 1;
}

static void messages_come_in_order(void **state)
{
	struct pair p;

	(void)state;
	make(&p, NR_SLOTS, 8);
	for (uint64_t i = 0; i < 1000; i += 3) {
		for (uint64_t k = 0; k < 3; k++)
			send_one(&p, i + k);
		for (uint64_t k = 0; k < 3; k++)
			recv_one(&p, i + k);
	}
	assert_int_equal(p.tx.nr_sent, p.rx.nr_received);
	assert_int_equal(p.tx.nr_wakeups, 0);
	assert_int_equal(p.tx.nr_lost, 0);
	unmake(&p);
}

static void whole_messages_of_any_size(void **state)
{
	const uint32_t sizes[] = { 8, 24, 64, 72, CHAN_MSG_MAX_BYTES };
	unsigned char msg[CHAN_MSG_MAX_BYTES], got[CHAN_MSG_MAX_BYTES];
	struct pair p;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		make(&p, 4, sizes[i]);
		for (int n = 0; n < 11; n++) {
			memset(msg, n + 1, sizeof(msg));
			memset(got, 0, sizeof(got));
			assert_int_equal(chan_try_send(&p.tx, msg), 0);
			assert_int_equal(chan_try_recv(&p.rx, got), 0);
			assert_memory_equal(msg, got, sizes[i]);
			if (sizes[i] < sizeof(got))
				assert_int_equal(got[sizes[i]], 0);
		}
		unmake(&p);
	}
}

static void full_ring_refuses_and_counts(void **state)
{
	uint64_t msg = 99;
	uint32_t depth = 77;
	struct pair p;

	(void)state;
	make(&p, NR_SLOTS, 8);
	for (uint64_t i = 0; i < NR_SLOTS; i++)
		send_one(&p, i);
	for (int i = 0; i < 3; i++)
		assert_int_equal(chan_try_send(&p.tx, &msg), -EAGAIN);
	assert_int_equal(p.tx.nr_lost, 3);
	assert_int_equal(chan_tx_depth(&p.tx, &depth), 0);
	assert_int_equal(depth, NR_SLOTS);
	recv_one(&p, 0);
	send_one(&p, NR_SLOTS);
	assert_int_equal(chan_try_send(&p.tx, &msg), -EAGAIN);
	for (uint64_t i = 1; i <= NR_SLOTS; i++)
		recv_one(&p, i);
	assert_int_equal(chan_try_recv(&p.rx, &msg), -EAGAIN);
	assert_int_equal(msg, 99); /* untouched */
	assert_int_equal(chan_tx_depth(&p.tx, &depth), 0);
	assert_int_equal(depth, 0);
	unmake(&p);
}

static void indexes_wrap(void **state)
{
	const uint32_t slots[] = { 1, 2, NR_SLOTS };
	uint64_t msg = 0;
	struct pair p;

	(void)state;
	for (size_t s = 0; s < ARRAY_SIZE(slots); s++) {
		make(&p, slots[s], 8);
		start_at(&p, UINT32_MAX - 20);
		for (uint64_t i = 0; i < 40; i++) {
			for (uint64_t k = 0; k < slots[s]; k++)
				send_one(&p, i + k);
			assert_int_equal(chan_try_send(&p.tx, &msg), -EAGAIN);
			for (uint64_t k = 0; k < slots[s]; k++)
				recv_one(&p, i + k);
			assert_int_equal(chan_try_recv(&p.rx, &msg), -EAGAIN);
		}
		unmake(&p);
	}
}

static void shapes_that_are_refused(void **state)
{
	const struct chan_shape bad[] = {
		{ 0, 8 }, { 3, 8 },  { CHAN_SLOTS_MAX * 2, 8 },
		{ 8, 0 }, { 8, 12 }, { 8, CHAN_MSG_MAX_BYTES + 8 },
	};
	struct chan_tx tx;
	struct chan_rx rx;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(chan_ring_bytes(bad[i]), 0);
		assert_int_equal(chan_tx_init(&tx, bad[i], NULL, NULL, -1),
				 -EINVAL);
		assert_int_equal(chan_rx_init(&rx, bad[i], NULL, NULL, -1),
				 -EINVAL);
	}
	assert_int_equal(chan_ring_bytes((struct chan_shape){ 1, 8 }), 256);
}

static void hostile_producers_index(void **state)
{
	const uint32_t lies[] = { UINT32_MAX, NR_SLOTS + 1, 1u << 31 };
	const uint32_t starts[] = { 0, 5, UINT32_MAX - 1 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lies) * ARRAY_SIZE(starts); i++) {
		uint32_t start = starts[i / ARRAY_SIZE(lies)];
		struct chan_ring *ring;
		uint64_t msg = 5;
		struct pair p;

		make(&p, NR_SLOTS, 8);
		start_at(&p, start);
		ring = p.ring.base;
		atomic_store(&ring->tail, start + lies[i % ARRAY_SIZE(lies)]);
		if (i & 1)
			assert_int_equal(chan_sleep_begin(&p.rx), -EPROTO);
		else
			assert_int_equal(chan_try_recv(&p.rx, &msg), -EPROTO);
		atomic_store(&ring->tail, start); /* too late */
		assert_int_equal(chan_try_recv(&p.rx, &msg), -EPROTO);
		assert_int_equal(chan_sleep_begin(&p.rx), -EPROTO);
		chan_sleep_end(&p.rx);
		assert_int_equal(msg, 5);
		unmake(&p);
	}
}

/* Back, but not behind what was taken: seen when asked to sleep. */
static void producer_takes_messages_back(void **state)
{
	struct chan_ring *ring;
	struct pair p;

	(void)state;
	make(&p, NR_SLOTS, 8);
	for (uint64_t i = 0; i < 4; i++)
		send_one(&p, i);
	recv_one(&p, 0);
	ring = p.ring.base;
	atomic_store(&ring->tail, 2u);
	assert_int_equal(chan_sleep_begin(&p.rx), -EPROTO);
	unmake(&p);
}

static void hostile_consumers_index(void **state)
{
	const uint32_t lies[] = { UINT32_MAX, NR_SLOTS + 1, 1u << 31 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		struct chan_reader *reader;
		uint64_t msg = 0;
		uint32_t depth = 77;
		struct pair p;

		make(&p, NR_SLOTS, 8);
		start_at(&p, 2);
		for (uint64_t k = 0; k < NR_SLOTS; k++)
			send_one(&p, k);
		reader = p.reader.base;
		atomic_store(&reader->head, 2 + lies[i]);
		assert_int_equal(chan_try_send(&p.tx, &msg), -EPROTO);
		atomic_store(&reader->head, 2u);
		assert_int_equal(chan_try_send(&p.tx, &msg), -EPROTO);
		assert_int_equal(chan_tx_depth(&p.tx, &depth), -EPROTO);
		assert_int_equal(depth, 77);
		assert_int_equal(p.tx.nr_sent, NR_SLOTS);
		unmake(&p);
	}
}

/* Random lies in all shared words; ASan and the mappings' ends judge. */
static void random_peer_never_leads_out_of_bounds(void **state)
{
	uint64_t msg[8] = { 0 };
	unsigned dead = 0;

	(void)state;
	srandom(1);
	for (int round = 0; round < 300; round++) {
		struct chan_reader *reader;
		struct chan_ring *ring;
		struct pair p;

		make(&p, 1u << (random() % 4), 64);
		ring = p.ring.base;
		reader = p.reader.base;
		for (int i = 0; i < 100; i++) {
			uint32_t lie = (uint32_t)random() << (random() % 24);

			if (random() % 50 == 0)
				atomic_store(&ring->tail, lie);
			if (random() % 50 == 0)
				atomic_store(&reader->head, lie);
			if (random() % 4 == 0)
				atomic_store(&reader->sleep, lie);
			(void)!chan_try_send(&p.tx, msg);
			(void)!chan_try_recv(&p.rx, msg);
			if (random() % 8 == 0 && !chan_sleep_begin(&p.rx))
				chan_sleep_end(&p.rx);
		}
		dead += p.tx.dead + p.rx.dead;
		unmake(&p);
	}
	assert_true(dead > 100);
}

static void sleeper_is_woken_once(void **state)
{
	struct pair p;

	(void)state;
	make(&p, NR_SLOTS, 8);
	for (uint64_t i = 0; i < 5; i++) {
		assert_int_equal(chan_sleep_begin(&p.rx), 0);
		assert_false(readable(p.rx_fd));
		send_one(&p, 2 * i);
		assert_true(readable(p.rx_fd));
		send_one(&p, 2 * i + 1);
		assert_int_equal(p.tx.nr_wakeups, i + 1);
		chan_sleep_end(&p.rx);
		assert_false(readable(p.rx_fd));
		recv_one(&p, 2 * i);
		recv_one(&p, 2 * i + 1);
		send_one(&p, 0); /* awake: no wake-up */
		recv_one(&p, 0);
	}
	assert_int_equal(p.tx.nr_wakeups, 5);
	assert_int_equal(p.rx.sleep, 10);
	unmake(&p);
}

static void no_sleep_over_a_message(void **state)
{
	struct pair p;

	(void)state;
	make(&p, NR_SLOTS, 8);
	send_one(&p, 1);
	assert_int_equal(chan_sleep_begin(&p.rx), -EAGAIN);
	send_one(&p, 2);
	assert_int_equal(p.tx.nr_wakeups, 0); /* it stayed awake */
	recv_one(&p, 1);
	assert_int_equal(chan_sleep_begin(&p.rx), -EAGAIN);
	recv_one(&p, 2);
	assert_int_equal(chan_sleep_begin(&p.rx), 0);
	chan_sleep_end(&p.rx);
	chan_sleep_end(&p.rx); /* nothing to do */
	assert_int_equal(p.rx.sleep % 2, 0);
	unmake(&p);
}

/*
 * A consumer fills the socket, or closes it, or makes it blocking: the
 * producer goes on. It hangs here if not.
 */
static void hostile_consumer_cannot_stop_a_wakeup(void **state)
{
	char bytes[4096] = { 0 };
	struct pair p;

	(void)state;
	make(&p, NR_SLOTS, 8);
	while (send(p.tx_fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
	assert_int_equal(fcntl(p.tx_fd, F_SETFL, 0), 0);
	assert_int_equal(chan_sleep_begin(&p.rx), 0);
	send_one(&p, 1);
	assert_int_equal(p.tx.nr_wakeups, 1);
	chan_sleep_end(&p.rx);
	recv_one(&p, 1);
	close(p.rx_fd);
	p.rx_fd = -1;
	assert_int_equal(chan_sleep_begin(&p.rx), 0);
	send_one(&p, 2); /* no SIGPIPE */
	assert_int_equal(p.tx.nr_wakeups, 2);
	unmake(&p);
}

/* --- two at a time -------------------------------------------------------- */

#define NR_STRESS 1000000u

static void wait_for(struct chan_rx *rx)
{
	if (chan_sleep_begin(rx) == 0) {
		if (!wait_readable(rx->wake_fd))
			abort(); /* a wake-up was lost */
		chan_sleep_end(rx);
	}
}

static uint64_t word(uint64_t i)
{
	return (i + 1) * 0x9e3779b97f4a7c15u;
}

/* Returns how many words were wrong. */
static uint64_t consume(struct chan_rx *rx, uint64_t nr)
{
	uint64_t wrong = 0, msg[8];

	for (uint64_t i = 0; i < nr; i++) {
		for (int err; (err = chan_try_recv(rx, msg)) != 0;) {
			if (err != -EAGAIN)
				return nr;
			wait_for(rx);
		}
		for (unsigned w = 0; w < 8; w++)
			wrong += msg[w] != word(i) + w;
	}
	return wrong;
}

static void produce(struct chan_tx *tx, uint64_t nr)
{
	uint64_t msg[8];

	for (uint64_t i = 0; i < nr; i++) {
		for (unsigned w = 0; w < 8; w++)
			msg[w] = word(i) + w;
		while (chan_try_send(tx, msg))
			sched_yield();
	}
}

static void *produce_thread(void *arg)
{
	produce(arg, NR_STRESS);
	return NULL;
}

/*
 * Threads, and one mapping for both so that TSan knows the words are the
 * same. All order comes from tail and head: TSan takes no notice of fences.
 */
static void stress_threads(void **state)
{
	struct chan_tx *tx;
	pthread_t thread;
	struct pair p;

	(void)state;
	make(&p, 64, 64);
	tx = &p.tx;
	tx->peer = p.reader.base;
	p.rx.ring = p.ring.base;
	assert_int_equal(pthread_create(&thread, NULL, produce_thread, tx), 0);
	assert_int_equal(consume(&p.rx, NR_STRESS), 0);
	pthread_join(thread, NULL);
	assert_int_equal(tx->nr_sent, NR_STRESS);
	print_message("# %u messages, %llu sleeps, %llu wake-ups, "
		      "%llu times full\n",
		      NR_STRESS, (unsigned long long)p.rx.sleep / 2,
		      (unsigned long long)tx->nr_wakeups,
		      (unsigned long long)tx->nr_lost);
	assert_true(tx->nr_wakeups <= p.rx.sleep / 2);
	unmake(&p);
}

/* Two processes, each with its own mappings. */
static void stress_processes(void **state)
{
	struct pair p;
	int status;
	pid_t pid;

	(void)state;
	make(&p, 64, 64);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(consume(&p.rx, NR_STRESS) ? 1 : 0);
	produce(&p.tx, NR_STRESS);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	unmake(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_come_in_order),
		cmocka_unit_test(whole_messages_of_any_size),
		cmocka_unit_test(full_ring_refuses_and_counts),
		cmocka_unit_test(indexes_wrap),
		cmocka_unit_test(shapes_that_are_refused),
		cmocka_unit_test(hostile_producers_index),
		cmocka_unit_test(producer_takes_messages_back),
		cmocka_unit_test(hostile_consumers_index),
		cmocka_unit_test(random_peer_never_leads_out_of_bounds),
		cmocka_unit_test(sleeper_is_woken_once),
		cmocka_unit_test(no_sleep_over_a_message),
		cmocka_unit_test(hostile_consumer_cannot_stop_a_wakeup),
		cmocka_unit_test(stress_threads),
		cmocka_unit_test(stress_processes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
