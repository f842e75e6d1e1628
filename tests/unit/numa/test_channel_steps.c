/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Wait-freedom, counted: every access to shared memory of numa/channel.c is a
 * step. A peer in another process is stopped and continued at random moments;
 * no call ever takes more steps than channel.h promises.
 */
#define DISCO_MODEL 1
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "disco/clock.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion" /* see numa/atomic_ops.h */
#include "numa/channel.c"		      // NOLINT: with the steps counted
#pragma GCC diagnostic pop

#define MAX_SEND_STEPS 6 /* 5 accesses, 1 system call */
#define MAX_RECV_STEPS 3
#define NR_STOPS       100

static unsigned steps;

uint64_t model_load(const void *p, memory_order order)
{
	steps++;
	/* All words of a channel are 4 bytes but this one. */
	if ((uintptr_t)p % PAGE_BYTES ==
	    offsetof(struct chan_reader, sleep) % PAGE_BYTES)
		return atomic_load_explicit((const _Atomic(uint64_t) *)p,
					    order);
	return atomic_load_explicit((const _Atomic(uint32_t) *)p, order);
}

void model_store(const void *p, uint64_t v, memory_order order)
{
	steps++;
	if ((uintptr_t)p % PAGE_BYTES ==
	    offsetof(struct chan_reader, sleep) % PAGE_BYTES)
		atomic_store_explicit((_Atomic(uint64_t) *)(uintptr_t)p, v,
				      order);
	else
		atomic_store_explicit((_Atomic(uint32_t) *)(uintptr_t)p,
				      (uint32_t)v, order);
}

void model_fence(memory_order order)
{
	steps++;
	atomic_thread_fence(order);
}

void model_copy_in(void *shared, const void *from, size_t bytes)
{
	steps++;
	memcpy(shared, from, bytes);
}

void model_copy_out(void *to, const void *shared, size_t bytes)
{
	steps++;
	memcpy(to, shared, bytes);
}

void model_wake(int fd)
{
	steps++;
	(void)!send(fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void model_drain(int fd)
{
	char bytes[64];

	steps++;
	(void)!recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
}

static const struct chan_shape shape = { 8, 64 };
static struct chan_ring *ring;
static struct chan_reader *reader;
static int tx_fd, rx_fd;

static void make(void)
{
	ring = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	reader = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(ring != MAP_FAILED && reader != MAP_FAILED);
	assert_int_equal(chan_wake_create(&tx_fd, &rx_fd), 0);
}

static void unmake(pid_t peer)
{
	kill(peer, SIGKILL);
	waitpid(peer, NULL, 0);
	munmap(ring, PAGE_BYTES);
	munmap(reader, PAGE_BYTES);
	close(tx_fd);
	close(rx_fd);
}

/* Sends or receives for ever, sleeping now and then when it receives. */
static void peer_main(bool sends)
{
	uint64_t msg[8] = { 0 };
	struct chan_tx tx;
	struct chan_rx rx;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (chan_tx_init(&tx, shape, ring, reader, tx_fd) ||
	    chan_rx_init(&rx, shape, reader, ring, rx_fd))
		_exit(1);
	for (;;) {
		struct pollfd pfd = { .fd = rx_fd, .events = POLLIN };

		if (sends) {
			(void)!chan_try_send(&tx, msg);
		} else if (chan_try_recv(&rx, msg) == -EAGAIN &&
			   chan_sleep_begin(&rx) == 0) {
			poll(&pfd, 1, 1);
			chan_sleep_end(&rx);
		}
	}
}

static pid_t start_peer(bool sends)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		peer_main(sends);
	return pid;
}

/* Stopped on odd calls. At random within a hundred microseconds. */
static void stop_or_continue(pid_t peer, int i)
{
	uint64_t until = clock_now_ns() + (uint64_t)(random() % 100000);
	int status;

	while (clock_now_ns() < until)
		;
	kill(peer, i & 1 ? SIGCONT : SIGSTOP);
	if (!(i & 1))
		assert_int_equal(waitpid(peer, &status, WUNTRACED), peer);
	else
		sched_yield();
}

static void note(unsigned *most)
{
	*most = steps > *most ? steps : *most;
	steps = 0;
}

static void sender_with_a_stopped_peer(void **state)
{
	uint64_t msg[8] = { 0 };
	unsigned most = 0;
	struct chan_tx tx;
	pid_t peer;

	(void)state;
	srandom(2);
	make();
	assert_int_equal(chan_tx_init(&tx, shape, ring, reader, tx_fd), 0);
	peer = start_peer(false);
	for (int i = 0; i < 2 * NR_STOPS; i++) {
		stop_or_continue(peer, i);
		for (int k = 0; k < 1000; k++) {
			int err;

			steps = 0;
			err = chan_try_send(&tx, msg);
			assert_true(err == 0 || err == -EAGAIN);
			note(&most);
		}
	}
	print_message("# %llu sent, %llu refused, %llu wake-ups: at most %u "
		      "steps, %d stops\n",
		      (unsigned long long)tx.nr_sent,
		      (unsigned long long)tx.nr_lost,
		      (unsigned long long)tx.nr_wakeups, most, NR_STOPS);
	assert_true(tx.nr_sent > 0 && tx.nr_lost > 0);
	assert_true(most <= MAX_SEND_STEPS);
	unmake(peer);
}

static void receiver_with_a_stopped_peer(void **state)
{
	uint64_t msg[8], nr_empty = 0;
	unsigned most = 0;
	struct chan_rx rx;
	pid_t peer;

	(void)state;
	srandom(3);
	make();
	assert_int_equal(chan_rx_init(&rx, shape, reader, ring, rx_fd), 0);
	peer = start_peer(true);
	for (int i = 0; i < 2 * NR_STOPS; i++) {
		stop_or_continue(peer, i);
		for (int k = 0; k < 1000; k++) {
			int err;

			steps = 0;
			err = chan_try_recv(&rx, msg);
			assert_true(err == 0 || err == -EAGAIN);
			nr_empty += err != 0;
			note(&most);
		}
	}
	print_message("# %llu received, %llu times empty: at most %u steps, "
		      "%d stops\n",
		      (unsigned long long)rx.nr_received,
		      (unsigned long long)nr_empty, most, NR_STOPS);
	assert_true(rx.nr_received > 0 && nr_empty > 0);
	assert_true(most <= MAX_RECV_STEPS);
	unmake(peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sender_with_a_stopped_peer),
		cmocka_unit_test(receiver_with_a_stopped_peer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
