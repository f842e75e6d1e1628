/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Channel: messages of one size from one producer to one consumer, in two
 * processes that do not trust each other.
 *
 *	producer's region (chan_ring)        consumer's region (chan_reader)
 *	  tail: messages published             head: messages taken
 *	  slots[nr_slots]                      sleep: odd while it sleeps
 *
 * Neither side ever writes the other's region: it has it read-only. Both
 * indexes count for ever, modulo 2^32; slot = index modulo nr_slots.
 *
 * ORDERING
 *  1. A message is received whole: all the producer did before its
 *     chan_try_send() happens before what the consumer does after the
 *     chan_try_recv() that returned it. (release T, acquire T)
 *  2. A slot is written again only after the consumer has copied it out.
 *     (release H, acquire H)
 *  3. Messages come in the order they were sent, each once, none invented.
 *  4. No wake-up is lost: when chan_sleep_begin() returned 0, a message sent
 *     from then on makes the socket readable. (fences D, in both)
 *  5. At most one wake-up a sleep. No system call while the consumer is awake.
 *
 * PROGRESS
 *  1. chan_try_send() and chan_try_recv() are wait-free: no loop, at most 5
 *     and 3 accesses to shared memory (a message copied is one), and at most
 *     one system call, which does not block. They do not depend on whether
 *     the peer runs, is stopped, or is dead.
 *  2. So are chan_sleep_begin() and chan_sleep_end().
 *
 * THE PEER IS HOSTILE. All it can do here: send wrong messages (copy, check,
 * use: what chan_try_recv() returns is a copy), lie about its index, and wake
 * or not wake. An index that went backwards, or further than the ring allows,
 * ends the channel for this side: -EPROTO, from then on always. Nothing the
 * peer writes is ever used as an address or a size.
 *
 *	who may call what at the same time
 *			send	recv	sleep_*	depth (of the same end)
 *	chan_tx of A	one thread at a time, lock it otherwise
 *	chan_rx of B	one thread at a time, lock it otherwise
 *	A against B	yes, without a lock: that is what it is for
 *
 * Sources: Lamport (1983) for the ring; Dekker for the sleep flag. Checked by
 * tests/unit/numa/test_channel_model.c in all interleavings of small rings.
 */
#ifndef DISCO_NUMA_CHANNEL_H
#define DISCO_NUMA_CHANNEL_H

#include <stdatomic.h>

#include "disco/base.h"

#define CHAN_LINE_BYTES	   128 /* two lines: the neighbour is prefetched */
#define CHAN_SLOTS_MAX	   (1u << 20)
#define CHAN_MSG_MAX_BYTES 4096u

/* Agreed before by both; never read from shared memory. */
struct chan_shape {
	uint32_t nr_slots;  /* a power of two, 1 .. CHAN_SLOTS_MAX */
	uint32_t msg_bytes; /* a multiple of 8, 8 .. CHAN_MSG_MAX_BYTES */
};

/* In the producer's region; page- or line-aligned; starts as zeroes. */
struct chan_ring {
	/* [A: producer/consumer, release T] */
	_Alignas(CHAN_LINE_BYTES) _Atomic(uint32_t) tail;
	/* ordered by tail and head */
	_Alignas(CHAN_LINE_BYTES) unsigned char slots[];
};

/* In the consumer's region; the same. */
struct chan_reader {
	/* [A: consumer/producer, release H] */
	_Alignas(CHAN_LINE_BYTES) _Atomic(uint32_t) head;
	/* [A: consumer/producer, relaxed, fences D] odd: asleep; only grows */
	_Alignas(CHAN_LINE_BYTES) _Atomic(uint64_t) sleep;
};

_Static_assert(offsetof(struct chan_ring, tail) == 0, "shared layout");
_Static_assert(offsetof(struct chan_ring, slots) == 128, "shared layout");
_Static_assert(offsetof(struct chan_reader, head) == 0, "shared layout");
_Static_assert(offsetof(struct chan_reader, sleep) == 128, "shared layout");
_Static_assert(sizeof(struct chan_reader) == 256, "shared layout");

/* The producer's end: private to it. Counters are for anybody to read. */
struct chan_tx {
	struct chan_ring *ring;		/* [I] own */
	const struct chan_reader *peer; /* [I] hostile */
	struct chan_shape shape;	/* [I] */
	int wake_fd;			/* [I] not owned */
	bool dead;			/* the peer broke the protocol */
	uint32_t tail;			/* of the next message */
	uint32_t head;			/* of the peer, when last looked at */
	uint64_t woken; /* value of sleep we sent a wake-up for */
	uint64_t nr_sent;
	uint64_t nr_lost; /* refused, because the ring was full */
	uint64_t nr_wakeups;
};

/* The consumer's end: private to it. */
struct chan_rx {
	struct chan_reader *own;      /* [I] */
	const struct chan_ring *ring; /* [I] hostile */
	struct chan_shape shape;      /* [I] */
	int wake_fd;		      /* [I] not owned */
	bool dead;
	uint32_t head;	/* of the next message */
	uint32_t tail;	/* of the peer, when last looked at */
	uint64_t sleep; /* as in own */
	uint64_t nr_received;
};

/**
 * chan_ring_bytes() - what a producer needs in its region
 * Return: a multiple of CHAN_LINE_BYTES; 0 when the shape is not allowed.
 */
size_t chan_ring_bytes(struct chan_shape shape);

/**
 * chan_tx_init(), chan_rx_init() - one end of a new channel
 * @own:     in this side's region, zeroes, aligned to CHAN_LINE_BYTES; not
 *           owned: the mappings outlive the channel
 * @ring, @peer: in the other side's region, mapped read-only, and all of
 *           chan_ring_bytes() or sizeof(struct chan_reader) of it
 * @wake_fd: of chan_wake_create(); not owned
 *
 * Context: any thread; nothing to undo. Return: 0; -EINVAL shape.
 */
MUST_CHECK int chan_tx_init(struct chan_tx *tx, struct chan_shape shape,
			    struct chan_ring *own,
			    const struct chan_reader *peer, int wake_fd);
MUST_CHECK int chan_rx_init(struct chan_rx *rx, struct chan_shape shape,
			    struct chan_reader *own,
			    const struct chan_ring *ring, int wake_fd);

/**
 * chan_wake_create() - the two ends of a wake-up
 * @tx_fd, @rx_fd: out, owned, close-on-exec; untouched on error
 *
 * A socket pair, not an eventfd: O_NONBLOCK of an eventfd belongs to the open
 * file that both would share, so a hostile consumer could clear it, fill the
 * counter, and so stop the producer in write(2). send(2) has MSG_DONTWAIT.
 *
 * Return: 0; -EMFILE, -ENFILE, -ENOMEM.
 */
MUST_CHECK int chan_wake_create(int *tx_fd, int *rx_fd);

/**
 * chan_try_send() - send one message, or say why not
 * @msg: msg_bytes, copied
 *
 * Context: the producer's thread; wait-free.
 * Return:  0; -EAGAIN the ring is full (counted in nr_lost); -EPROTO dead.
 */
MUST_CHECK int chan_try_send(struct chan_tx *tx, const void *msg);

/**
 * chan_tx_depth() - messages sent and not yet taken
 * @depth: out, 0 .. nr_slots; untouched on error
 *
 * Context: the producer's thread; wait-free. Return: 0; -EPROTO dead.
 */
MUST_CHECK int chan_tx_depth(struct chan_tx *tx, uint32_t *depth);

/**
 * chan_try_recv() - take one message
 * @msg: out, msg_bytes, a copy: check it; untouched on error
 *
 * Context: the consumer's thread; wait-free.
 * Return:  0; -EAGAIN empty; -EPROTO dead.
 */
MUST_CHECK int chan_try_recv(struct chan_rx *rx, void *msg);

/**
 * chan_sleep_begin() - ask to be woken
 *
 * On 0 the consumer may block until its wake_fd is readable (for a time-out
 * as well), and calls chan_sleep_end() before it receives again. On an error
 * it is awake as before.
 *
 * Context: the consumer's thread; wait-free.
 * Return:  0; -EAGAIN there are messages; -EPROTO dead.
 */
MUST_CHECK int chan_sleep_begin(struct chan_rx *rx);

/* Awake again; empties the socket. Wait-free; does nothing when awake. */
void chan_sleep_end(struct chan_rx *rx);

#endif
