/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pairs of memory orders, named as in the header. In each, the left side's
 * store makes everything before it visible to the right side's load:
 *
 *	T  tail: release in chan_try_send()     acquire in look_at_tail()
 *	H  head: release in chan_try_recv()     acquire in look_at_head()
 *	D  producer: store tail; fence; load sleep
 *	   consumer: store sleep; fence; load tail
 *	   One of the two fences is first in the order of all fences. The side
 *	   with the later fence sees what the other side stored before its own
 *	   fence. So the producer sees that the consumer sleeps, or the consumer
 *	   sees the message, or both.
 */
#include "numa/channel.h"

#include <errno.h>
#include <sys/socket.h>

#include "numa/atomic_ops.h"

static bool shape_valid(struct chan_shape s)
{
	return s.nr_slots != 0 && s.nr_slots <= CHAN_SLOTS_MAX &&
	       (s.nr_slots & (s.nr_slots - 1)) == 0 && s.msg_bytes != 0 &&
	       s.msg_bytes <= CHAN_MSG_MAX_BYTES && s.msg_bytes % 8 == 0;
}

static size_t slot_offset(struct chan_shape s, uint32_t index)
{
	return (size_t)(index & (s.nr_slots - 1)) * s.msg_bytes;
}

size_t chan_ring_bytes(struct chan_shape shape)
{
	if (!shape_valid(shape))
		return 0;
	return align_up(sizeof(struct chan_ring) +
				(size_t)shape.nr_slots * shape.msg_bytes,
			CHAN_LINE_BYTES);
}

int chan_tx_init(struct chan_tx *tx, struct chan_shape shape,
		 struct chan_ring *own, const struct chan_reader *peer,
		 int wake_fd)
{
	if (!shape_valid(shape))
		return -EINVAL;
	*tx = (struct chan_tx){
		.ring = own,
		.peer = peer,
		.shape = shape,
		.wake_fd = wake_fd,
	};
	return 0;
}

int chan_rx_init(struct chan_rx *rx, struct chan_shape shape,
		 struct chan_reader *own, const struct chan_ring *ring,
		 int wake_fd)
{
	if (!shape_valid(shape))
		return -EINVAL;
	*rx = (struct chan_rx){
		.own = own,
		.ring = ring,
		.shape = shape,
		.wake_fd = wake_fd,
	};
	return 0;
}

int chan_wake_create(int *tx_fd, int *rx_fd)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
		       fds) < 0)
		return -errno;
	*tx_fd = fds[0];
	*rx_fd = fds[1];
	return 0;
}

/* --- producer ------------------------------------------------------------- */

/*
 * Read the consumer's index and check it: it lies between the index read last
 * and what was sent. The differences are modulo 2^32, so that wrap-around needs
 * no special case.
 */
static int look_at_head(struct chan_tx *tx)
{
	uint32_t head = shared_load(&tx->peer->head, memory_order_acquire);

	if (head - tx->head > tx->tail - tx->head) {
		tx->dead = true;
		return -EPROTO;
	}
	tx->head = head;
	return 0;
}

/*
 * Each sleep has its own odd number, and ->woken is the last one that a wake-up
 * was sent for. So there is one wake-up per sleep, and no send(2) for each
 * message until the consumer has run. Must follow fence D.
 */
static void wake_if_asleep(struct chan_tx *tx)
{
	uint64_t sleep = shared_load(&tx->peer->sleep, memory_order_relaxed);

	if (!(sleep & 1) || sleep == tx->woken)
		return;
	tx->woken = sleep;
	tx->nr_wakeups++;
	shared_wake(tx->wake_fd);
}

static bool is_full(const struct chan_tx *tx)
{
	return tx->tail - tx->head == tx->shape.nr_slots;
}

int chan_try_send(struct chan_tx *tx, const void *msg)
{
	if (tx->dead)
		return -EPROTO;
	/* The peer's cache line is read only when the ring seems full. */
	if (is_full(tx)) {
		int err = look_at_head(tx);

		if (err)
			return err;
		if (is_full(tx)) {
			tx->nr_lost++;
			return -EAGAIN;
		}
	}
	shared_copy_in(tx->ring->slots + slot_offset(tx->shape, tx->tail), msg,
		       tx->shape.msg_bytes);
	tx->tail++;
	shared_store(&tx->ring->tail, tx->tail, memory_order_release);
	tx->nr_sent++;
	shared_fence(memory_order_seq_cst); /* D */
	wake_if_asleep(tx);
	return 0;
}

int chan_tx_depth(struct chan_tx *tx, uint32_t *depth)
{
	int err = tx->dead ? -EPROTO : look_at_head(tx);

	if (err)
		return err;
	*depth = tx->tail - tx->head;
	return 0;
}

/* --- consumer ------------------------------------------------------------- */

/*
 * Read the producer's index and check it: it is ahead by at most the ring, and
 * never goes back.
 */
static int look_at_tail(struct chan_rx *rx)
{
	uint32_t tail = shared_load(&rx->ring->tail, memory_order_acquire);

	if (tail - rx->head > rx->shape.nr_slots ||
	    tail - rx->head < rx->tail - rx->head) {
		rx->dead = true;
		return -EPROTO;
	}
	rx->tail = tail;
	return 0;
}

int chan_try_recv(struct chan_rx *rx, void *msg)
{
	if (rx->dead)
		return -EPROTO;
	if (rx->tail == rx->head) {
		int err = look_at_tail(rx);

		if (err)
			return err;
		if (rx->tail == rx->head)
			return -EAGAIN;
	}
	shared_copy_out(msg, rx->ring->slots + slot_offset(rx->shape, rx->head),
			rx->shape.msg_bytes);
	rx->head++;
	shared_store(&rx->own->head, rx->head, memory_order_release);
	rx->nr_received++;
	return 0;
}

/* Odd: asleep, even: awake. */
static void set_sleep(struct chan_rx *rx)
{
	rx->sleep++;
	shared_store(&rx->own->sleep, rx->sleep, memory_order_relaxed);
}

int chan_sleep_begin(struct chan_rx *rx)
{
	int err;

	if (rx->dead)
		return -EPROTO;
	/*
	 * A message may arrive between the caller's last chan_try_recv() and
	 * this store. So look once more after the fence: either this load sees
	 * the message, or its sender sees the sleep.
	 */
	set_sleep(rx);
	shared_fence(memory_order_seq_cst); /* D */
	err = look_at_tail(rx);
	if (!err && rx->tail == rx->head)
		return 0;
	set_sleep(rx);
	return err ? err : -EAGAIN;
}

void chan_sleep_end(struct chan_rx *rx)
{
	if (!(rx->sleep & 1))
		return;
	set_sleep(rx);
	shared_drain(rx->wake_fd);
}
