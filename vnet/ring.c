/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pairs of memory orders, named as in the header:
 *
 *	T  tail: release in vnet_tx_publish()	acquire in vnet_rx_look()
 *	H  head: release in vnet_rx_publish()	acquire in vnet_tx_look()
 *	D  sender: store tail; fence; load sleep
 *	   receiver: store sleep; fence; load tail
 *	W  receiver: store head; fence; load wants
 *	   sender: store wants; fence; load head
 *	   In both, the side with the later fence sees what the other side
 *	   stored before its own: so one of them acts, or both do.
 */
#include "vnet/ring.h"

#include <errno.h>

#include "numa/atomic_ops.h"

static uint64_t ring_word(uint32_t gen, uint32_t index)
{
	return (uint64_t)gen << 32 | index;
}

/* Index of a word; 0 if the word is of another generation. */
static uint32_t ring_index(uint64_t word, uint32_t gen)
{
	return word >> 32 == gen ? (uint32_t)word : 0;
}

static void set_wants(struct vnet_tx *tx, uint64_t value)
{
	tx->wants = value;
	shared_store(&tx->line->wants, value, memory_order_relaxed);
}

void vnet_tx_init(struct vnet_tx *tx, struct vnet_line *line, vnet_slot *slots,
		  const struct vnet_head *peer, uint32_t own_gen,
		  uint32_t peer_gen)
{
	*tx = (struct vnet_tx){ .line = line,
				.slots = slots,
				.peer = peer,
				.own_gen = own_gen,
				.peer_gen = peer_gen };
	/*
	 * An earlier port of this number may have been woken for a value: what
	 * is stored from now on is larger.
	 */
	tx->wants = shared_load(&line->wants, memory_order_relaxed);
	set_wants(tx, (tx->wants + 1) & ~1ull);
}

void vnet_rx_init(struct vnet_rx *rx, struct vnet_head *own,
		  const struct vnet_line *line, const vnet_slot *slots,
		  uint32_t own_gen, uint32_t peer_gen)
{
	*rx = (struct vnet_rx){ .own = own,
				.line = line,
				.slots = slots,
				.own_gen = own_gen,
				.peer_gen = peer_gen };
}

/* --- sender --- */

int vnet_tx_look(struct vnet_tx *tx)
{
	uint32_t head;

	if (tx->dead)
		return -EPROTO;
	head = ring_index(shared_load(&tx->peer->head, memory_order_acquire),
			  tx->own_gen);
	if (head - tx->head > tx->published - tx->head) {
		tx->dead = true;
		return -EPROTO;
	}
	tx->head = head;
	return 0;
}

void vnet_tx_put(struct vnet_tx *tx, uint64_t desc)
{
	shared_store(&tx->slots[tx->tail % VNET_RING_SLOTS], desc,
		     memory_order_relaxed);
	tx->tail++;
}

bool vnet_tx_publish(struct vnet_tx *tx)
{
	if (tx->published == tx->tail)
		return false;
	tx->published = tx->tail;
	shared_store(&tx->line->tail, ring_word(tx->peer_gen, tx->tail),
		     memory_order_release);
	return true;
}

bool vnet_tx_must_wake(struct vnet_tx *tx, const _Atomic(uint64_t) *sleep)
{
	uint64_t s = shared_load(sleep, memory_order_relaxed);

	if (!(s & 1) || s == tx->woken)
		return false;
	tx->woken = s;
	return true;
}

bool vnet_tx_rest(struct vnet_tx *tx)
{
	/* The head is not past what was published, so that was all of it. */
	if (tx->dead || tx->head != tx->tail)
		return false;
	shared_discard(tx->slots, VNET_RING_SLOTS * sizeof(tx->slots[0]));
	return true;
}

int vnet_tx_want(struct vnet_tx *tx)
{
	uint32_t before = tx->head;
	int err;

	/* A new value each time: the peer wakes once for each. */
	set_wants(tx, (tx->wants + 1) | 1);
	vnet_fence(); /* W */
	err = vnet_tx_look(tx);
	if (err)
		return err;
	if (tx->head == before)
		return 1;
	set_wants(tx, tx->wants + 1);
	return 0;
}

/* --- receiver --- */

int vnet_rx_look(struct vnet_rx *rx)
{
	uint32_t tail;
	uint64_t word;

	if (rx->dead)
		return -EPROTO;
	word = shared_load(&rx->line->tail, memory_order_acquire);
	tail = ring_index(word, rx->own_gen);
	/* Not behind what was read before, and at most a ring ahead. */
	if (tail - rx->head > VNET_RING_SLOTS ||
	    tail - rx->head < rx->tail - rx->head) {
		rx->dead = true;
		return -EPROTO;
	}
	rx->tail = tail;
	return (int)(tail - rx->head);
}

uint64_t vnet_rx_get(const struct vnet_rx *rx, uint32_t i)
{
	return shared_load(&rx->slots[(rx->head + i) % VNET_RING_SLOTS],
			   memory_order_relaxed);
}

bool vnet_rx_publish(struct vnet_rx *rx)
{
	if (rx->published == rx->head)
		return false;
	rx->published = rx->head;
	shared_store(&rx->own->head, ring_word(rx->peer_gen, rx->head),
		     memory_order_release);
	return true;
}

bool vnet_rx_must_wake(struct vnet_rx *rx)
{
	uint64_t w = shared_load(&rx->line->wants, memory_order_relaxed);

	if (!(w & 1) || w == rx->woken)
		return false;
	rx->woken = w;
	return true;
}

/* --- both --- */

void vnet_fence(void)
{
	shared_fence(memory_order_seq_cst); /* D, W */
}

void vnet_wake(int fd)
{
	shared_wake(fd);
}

void vnet_set_sleep(_Atomic(uint64_t) *word, uint64_t value)
{
	shared_store(word, value, memory_order_relaxed);
}
