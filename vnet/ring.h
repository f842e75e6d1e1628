/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ring of frame descriptors from one port of a network to one other port, and
 * the words by which the two processes agree. Each shared word has one writer:
 *
 *	sender's region			receiver's region
 *	  line.tail: published		  head: taken
 *	  line.wants: odd: wants room	  sleep: odd: it sleeps (one per port)
 *	  slots[VNET_RING_SLOTS]
 *
 * A port can end and another one can take its place under the same number. So
 * tail and head are words of two halves: the generation of the port that the
 * ring leads to (tail) or comes from (head), and an index that increases for
 * ever, modulo 2^32. A word of another generation stands for an index of 0 that
 * is not there yet. A ring therefore needs no message to begin: its pages come
 * with its first frame.
 *
 * ORDERING
 *  1. A frame is received whole: everything the sender wrote before
 *     vnet_tx_publish() happens before what the receiver does after the
 *     vnet_rx_look() that counted the frame. (release T, acquire T)
 *  2. Bytes of a frame are reused only after the receiver has copied them:
 *     everything the receiver did before vnet_rx_publish() happens before what
 *     the sender does after the vnet_tx_look() that saw it. (release H,
 *     acquire H)
 *  3. Frames of a pair arrive in the order in which they were put, each once.
 *  4. No wake-up of a receiver is lost: after its sleep word is odd, a fence,
 *     and a vnet_rx_look() at each ring that found nothing, each frame that is
 *     published makes its socket readable. (fences D)
 *  5. No wake-up of a sender is lost: after vnet_tx_want() has returned true,
 *     the next frame that the receiver takes makes the sender's socket
 *     readable. (fences W)
 *  6. There is at most one wake-up per sleep and sender, and one per want.
 *  7. A ring's slots can go while it is empty (vnet_tx_rest()), and be put into
 *     again at once: everything the receiver read in them happened before they
 *     went, and a descriptor that is put afterwards is received as any other.
 *
 * REST. Only the sender discards, and only what the receiver has no right to read:
 *
 *	  receiver			  sender
 *	  load slot, copy frame
 *	  store head (release H)	  load head (acquire H): all is taken
 *					  discard slots: they read as 0
 *					  put: store slot
 *	  load tail (acquire T)		  store tail (release T)
 *	  load slot: what was put
 *
 * The indexes stay: a ring that begins again goes on where it was, so the receiver
 * is not told and sees no difference. Frames that were put and not published, and
 * frames that were published and not taken, forbid it. There is no race with a
 * sender that begins again, because that is the same caller: in a process, who
 * holds the port (vnet/port.h). The age of a ring is measured by that caller, too:
 * it looks from time to time whether the tail is where it was; putting a frame
 * stores no time and tests nothing for it.
 *
 * PROGRESS. All functions but vnet_tx_rest(), which is a system call, are
 * wait-free: no loop, at most 3 accesses to shared memory. None depends on whether
 * the peer runs, is stopped, or is dead.
 *
 * THE PEER IS HOSTILE. It can send wrong descriptors (vnet/port.h checks a
 * copy), set a false index, and wake this side or not. An index that went
 * backwards, or further than the ring allows, ends the ring for this side:
 * every later call returns -EPROTO.
 *
 * Sources: numa/channel.h, of which this is the form for many peers and for
 * publishing several frames at once. Checked by
 * tests/unit/vnet/test_ring_model.c in all interleavings of short rings.
 */
#ifndef DISCO_VNET_RING_H
#define DISCO_VNET_RING_H

#include <stdatomic.h>

#include "disco/base.h"
#include "numa/channel.h"

#ifndef VNET_RING_SLOTS
#define VNET_RING_SLOTS 512u /* a page; a power of two */
#endif

/* In the sender's region, one per destination; zeroes at the start. */
struct vnet_line {
	/* [A: sender/receiver, release T] generation << 32 | index */
	_Alignas(CHAN_LINE_BYTES) _Atomic(uint64_t) tail;
	/* [A: sender/receiver, relaxed, fences W] odd: wants room */
	_Atomic(uint64_t) wants;
};

/* In the receiver's region, one per source; zeroes at the start. */
struct vnet_head {
	/* [A: receiver/sender, release H] generation << 32 | index */
	_Alignas(CHAN_LINE_BYTES) _Atomic(uint64_t) head;
};

/* In the sender's region. [A: sender/receiver; ordered by tail and head] */
typedef _Atomic(uint64_t) vnet_slot;

_Static_assert(sizeof(struct vnet_line) == 128, "shared layout");
_Static_assert(sizeof(struct vnet_head) == 128, "shared layout");

/* The sender's end, private to its process. */
struct vnet_tx {
	struct vnet_line *line;	      /* [I] own */
	vnet_slot *slots;	      /* [I] own */
	const struct vnet_head *peer; /* [I] hostile */
	uint32_t own_gen, peer_gen;   /* [I] */
	bool dead;		      /* the peer broke the protocol */
	uint32_t tail;		      /* index of the next frame */
	uint32_t published;
	uint32_t head;	/* the peer's, as read last */
	uint64_t wants; /* as in line */
	uint64_t woken; /* value of sleep that a wake-up was sent for */
};

/* The receiver's end, private to its process. */
struct vnet_rx {
	struct vnet_head *own;	      /* [I] */
	const struct vnet_line *line; /* [I] hostile */
	const vnet_slot *slots;	      /* [I] hostile */
	uint32_t own_gen, peer_gen;   /* [I] */
	bool dead;
	uint32_t head; /* index of the next frame */
	uint32_t published;
	uint32_t tail;	/* the peer's, as read last */
	uint64_t woken; /* value of wants that a wake-up was sent for */
};

/*
 * Begin a ring, of which @own_gen and @peer_gen are the generations of this
 * port and of the other one, not 0. Pointers are not owned, and outlive the
 * ring. What was there of an earlier port of the same number is void.
 */
void vnet_tx_init(struct vnet_tx *tx, struct vnet_line *line, vnet_slot *slots,
		  const struct vnet_head *peer, uint32_t own_gen,
		  uint32_t peer_gen);
void vnet_rx_init(struct vnet_rx *rx, struct vnet_head *own,
		  const struct vnet_line *line, const vnet_slot *slots,
		  uint32_t own_gen, uint32_t peer_gen);

/* --- sender --- */

/* Frames that were put and that, when last read, were not taken. */
static inline uint32_t vnet_tx_depth(const struct vnet_tx *tx)
{
	return tx->tail - tx->head;
}

/*
 * Read how far the peer has come; tx->head is the new value. Return: 0; -EPROTO
 * the ring is dead.
 */
MUST_CHECK int vnet_tx_look(struct vnet_tx *tx);

/* Put a descriptor; vnet_tx_depth() is below VNET_RING_SLOTS. */
void vnet_tx_put(struct vnet_tx *tx, uint64_t desc);

/* Let the peer see what was put. Return: true if that is anything. */
bool vnet_tx_publish(struct vnet_tx *tx);

/*
 * After vnet_tx_publish() and vnet_fence(): does the peer need a wake-up?
 * @sleep: the word of the peer's port.
 */
MUST_CHECK bool vnet_tx_must_wake(struct vnet_tx *tx,
				  const _Atomic(uint64_t) *sleep);

/**
 * vnet_tx_rest() - give the pages of an empty ring back to the kernel
 *
 * As vnet_tx_look() has seen it: nothing is read but private values. The slots of
 * frames that were taken read as zeroes afterwards. The next vnet_tx_put() brings
 * a page back.
 *
 * Context: as all others; a system call. Return: true; false: frames are in it, or
 * the ring is dead, and nothing was done.
 */
bool vnet_tx_rest(struct vnet_tx *tx);

/**
 * vnet_tx_want() - announce that the sender waits for room
 *
 * All that was put is published, or there may be nothing to take.
 *
 * Return: 1: nothing was taken since vnet_tx_look(), so wait for a wake-up; 0:
 * something was, and vnet_tx_look() sees it; -EPROTO the ring is dead.
 */
MUST_CHECK int vnet_tx_want(struct vnet_tx *tx);

/* --- receiver --- */

/*
 * Return: number of frames to take; -EPROTO the ring is dead.
 */
MUST_CHECK int vnet_rx_look(struct vnet_rx *rx);

/* The descriptor @i frames after the next one; @i is below vnet_rx_look(). */
uint64_t vnet_rx_get(const struct vnet_rx *rx, uint32_t i);

/* Take @nr frames, all of which were copied; seen after vnet_rx_publish(). */
static inline void vnet_rx_take(struct vnet_rx *rx, uint32_t nr)
{
	rx->head += nr;
}

/* Let the peer see what was taken. Return: true if that is anything. */
bool vnet_rx_publish(struct vnet_rx *rx);

/* After vnet_rx_publish() and vnet_fence(): does the peer need a wake-up? */
MUST_CHECK bool vnet_rx_must_wake(struct vnet_rx *rx);

/* --- both --- */

/*
 * The fence between what a side published and what it reads of the other side's
 * wish to be woken (D and W).
 */
void vnet_fence(void);

/* Send a wake-up: shared_wake(). */
void vnet_wake(int fd);

/* Set a port's sleep word: odd: asleep. A fence must follow before a look. */
void vnet_set_sleep(_Atomic(uint64_t) *word, uint64_t value);

#endif
