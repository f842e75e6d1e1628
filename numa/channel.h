/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Channel: messages of one size from one producer to one consumer, in two
 * processes that do not trust each other.
 *
 *	producer's region (chan_ring)        consumer's region (chan_reader)
 *	  tail: messages published             head: messages taken
 *	  slots[nr_slots]                      sleep: odd while it sleeps
 *
 * Neither side writes the other's region, which it has mapped read-only. Both
 * indexes increase forever, modulo 2^32; slot = index modulo nr_slots.
 *
 * ORDERING
 *  1. A message is received whole: everything the producer did before its
 *     chan_try_send() happens before what the consumer does after the
 *     chan_try_recv() that returned it. (release T, acquire T)
 *  2. A slot is reused only after the consumer has copied its message out.
 *     (release H, acquire H)
 *  3. Messages arrive in the order they were sent, each once, none invented.
 *  4. No wake-up is lost: after chan_sleep_begin() has returned 0, each message
 *     that is sent makes the socket readable. (fences D, on both sides)
 *  5. There is at most one wake-up per sleep, and no system call while the
 *     consumer is awake.
 *
 * PROGRESS
 *  1. chan_try_send() and chan_try_recv() are wait-free. They have no loop, at
 *     most 5 and 3 accesses to shared memory respectively (copying a message
 *     counts as one), and at most one system call, which does not block. They
 *     do not depend on whether the peer runs, is stopped, or is dead.
 *  2. chan_sleep_begin() and chan_sleep_end() are wait-free too.
 *
 * THE PEER IS HOSTILE. All that a peer can do is to send wrong messages (so
 * copy, check, then use; chan_try_recv() returns a copy), to set a false index,
 * and to wake this side or not. An index that went backwards, or further than
 * the ring allows, ends the channel for this side: every later call returns
 * -EPROTO. Nothing that the peer writes is ever used as an address or a size.
 *
 *	which calls may run concurrently
 *			send	recv	sleep_*	depth (of the same end)
 *	chan_tx of A	one thread at a time; callers lock otherwise
 *	chan_rx of B	one thread at a time; callers lock otherwise
 *	A against B	always, without a lock
 *
 * Sources: Lamport (1983) for the ring; Dekker for the sleep flag. Checked by
 * tests/unit/numa/test_channel_model.c in all interleavings of small rings.
 */
#ifndef DISCO_NUMA_CHANNEL_H
#define DISCO_NUMA_CHANNEL_H

#include <stdatomic.h>

#include "disco/base.h"

#define CHAN_LINE_BYTES	   128 /* two lines: CPUs prefetch the neighbour */
#define CHAN_SLOTS_MAX	   (1u << 20)
#define CHAN_MSG_MAX_BYTES 4096u

/* Both sides agree on it beforehand; it is never read from shared memory. */
struct chan_shape {
	uint32_t nr_slots;  /* a power of two, 1 .. CHAN_SLOTS_MAX */
	uint32_t msg_bytes; /* a multiple of 8, 8 .. CHAN_MSG_MAX_BYTES */
};

/* In the producer's region; line-aligned; zeroes at the start. */
struct chan_ring {
	/* [A: producer/consumer, release T] */
	_Alignas(CHAN_LINE_BYTES) _Atomic(uint32_t) tail;
	/* [A: producer/consumer; ordered by tail and head] */
	_Alignas(CHAN_LINE_BYTES) unsigned char slots[];
};

/* In the consumer's region; line-aligned; zeroes at the start. */
struct chan_reader {
	/* [A: consumer/producer, release H] */
	_Alignas(CHAN_LINE_BYTES) _Atomic(uint32_t) head;
	/* [A: consumer/producer, relaxed, fences D] odd: asleep; never falls */
	_Alignas(CHAN_LINE_BYTES) _Atomic(uint64_t) sleep;
};

_Static_assert(offsetof(struct chan_ring, tail) == 0, "shared layout");
_Static_assert(offsetof(struct chan_ring, slots) == 128, "shared layout");
_Static_assert(offsetof(struct chan_reader, head) == 0, "shared layout");
_Static_assert(offsetof(struct chan_reader, sleep) == 128, "shared layout");
_Static_assert(sizeof(struct chan_reader) == 256, "shared layout");

/* The producer's end, private to its process. Any code may read counters. */
struct chan_tx {
	struct chan_ring *ring;		/* [I] own */
	const struct chan_reader *peer; /* [I] hostile */
	struct chan_shape shape;	/* [I] */
	int wake_fd;			/* [I] not owned */
	bool dead;			/* the peer broke the protocol */
	uint32_t tail;			/* index of the next message */
	uint32_t head;			/* the peer's, as read last */
	uint64_t woken; /* value of sleep that a wake-up was sent for */
	uint64_t nr_sent;
	uint64_t nr_lost; /* not sent because the ring was full */
	uint64_t nr_wakeups;
};

/* The consumer's end, private to its process. */
struct chan_rx {
	struct chan_reader *own;      /* [I] */
	const struct chan_ring *ring; /* [I] hostile */
	struct chan_shape shape;      /* [I] */
	int wake_fd;		      /* [I] not owned */
	bool dead;
	uint32_t head;	/* index of the next message */
	uint32_t tail;	/* the peer's, as read last */
	uint64_t sleep; /* as in own */
	uint64_t nr_received;
};

/**
 * chan_ring_bytes() - size of the producer's part of its region
 *
 * Return: bytes, a multiple of CHAN_LINE_BYTES; 0 if @shape is not allowed.
 */
size_t chan_ring_bytes(struct chan_shape shape);

/**
 * chan_tx_init(), chan_rx_init() - set up one end of a new channel
 * @own:     in this side's region, zeroes, aligned to CHAN_LINE_BYTES; not
 *           owned; the mappings must outlive the channel
 * @ring, @peer: in the other side's region, mapped read-only, with all
 *           chan_ring_bytes() or sizeof(struct chan_reader) bytes of it
 * @wake_fd: from chan_wake_create(); not owned
 *
 * There is nothing to undo. Context: any thread. Return: 0; -EINVAL @shape is
 * not allowed.
 */
MUST_CHECK int chan_tx_init(struct chan_tx *tx, struct chan_shape shape,
			    struct chan_ring *own,
			    const struct chan_reader *peer, int wake_fd);
MUST_CHECK int chan_rx_init(struct chan_rx *rx, struct chan_shape shape,
			    struct chan_reader *own,
			    const struct chan_ring *ring, int wake_fd);

/**
 * chan_wake_create() - create the two ends for wake-ups
 * @tx_fd, @rx_fd: out, owned by the caller, close-on-exec; untouched on error
 *
 * They are a socket pair, not an eventfd. O_NONBLOCK of an eventfd belongs to
 * the open file, which both sides would share, so a hostile consumer could
 * clear it, fill the counter, and thereby block the producer in write(2).
 * send(2) has MSG_DONTWAIT instead.
 *
 * Context: any thread. Return: 0; -EMFILE, -ENFILE, -ENOMEM.
 */
MUST_CHECK int chan_wake_create(int *tx_fd, int *rx_fd);

/**
 * chan_try_send() - send one message
 * @msg: msg_bytes long; copied
 *
 * Context: the producer's thread; wait-free.
 * Return:  0; -EAGAIN the ring is full (counted in nr_lost); -EPROTO the
 *          channel is dead.
 */
MUST_CHECK int chan_try_send(struct chan_tx *tx, const void *msg);

/**
 * chan_tx_depth() - count the messages that were sent and not yet taken
 * @depth: out, 0 .. nr_slots; untouched on error
 *
 * Context: the producer's thread; wait-free. Return: 0; -EPROTO the channel is
 * dead.
 */
MUST_CHECK int chan_tx_depth(struct chan_tx *tx, uint32_t *depth);

/**
 * chan_try_recv() - take one message
 * @msg: out, msg_bytes long, a copy that the caller checks; untouched on error
 *
 * Context: the consumer's thread; wait-free.
 * Return:  0; -EAGAIN the ring is empty; -EPROTO the channel is dead.
 */
MUST_CHECK int chan_try_recv(struct chan_rx *rx, void *msg);

/**
 * chan_sleep_begin() - announce that the consumer is going to sleep
 *
 * After 0, the consumer may block until its wake_fd is readable (or until a
 * time-out), and calls chan_sleep_end() before it receives again. After an
 * error it is awake as before.
 *
 * Context: the consumer's thread; wait-free.
 * Return:  0; -EAGAIN there are messages; -EPROTO the channel is dead.
 */
MUST_CHECK int chan_sleep_begin(struct chan_rx *rx);

/*
 * The consumer is awake again. Empties the socket; does nothing if the consumer
 * was awake. Context: the consumer's thread; wait-free.
 */
void chan_sleep_end(struct chan_rx *rx);

#endif
