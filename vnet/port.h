/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Port: one station's end of a virtual network between workers.
 *
 * Each port has a region (numa/region.h) that its worker alone writes, and that
 * the workers of the other ports have for reading:
 *
 *	sleep		one word: odd while the port's worker sleeps
 *	claimed		IPv6 addresses that its station chose (vnet/claims.h)
 *	heads[256]	what was taken from the ring of each source
 *	lines[256]	what was published to each destination (vnet/ring.h)
 *	rings[256]	of 512 descriptors, one per destination
 *	chunks		bytes of frames: VNET_SMALL_NR for frames of up to 1536
 *			bytes, VNET_LARGE_NR for frames of up to 64 KiB
 *
 * No process switches frames, and no thread runs between two ports: a frame is
 * written to a chunk once, and copied from there into the receiver's guest. A
 * broadcast is one chunk with a descriptor in each ring.
 *
 * MEMORY. Pages are allocated when they are touched first: a ring has its page
 * from its first frame on, and chunks theirs. They are given back to the kernel
 * by a sweep (vnet_port_tend(), which the owner of the port calls), once every
 * VNET_SWEEP_NS as long as a pair is *busy*: frames went either way since the sweep
 * before the last one. The page of a ring goes at the first sweep that finds the ring empty
 * and its tail where it was at the sweep before, so when it was idle for one to two
 * periods; the pages of all chunks go with that of the last ring. Nothing on the
 * path of a frame knows of the time. THE BUDGET is VNET_RINGS_KEPT rings: a port
 * that has more (a broadcast needs one per port of the network) is swept after
 * VNET_SWEEP_SOON_NS, and those that are empty then go at any age. No frame is
 * dropped for it: rings that are not empty stay, and there are at most 255, of 4
 * KiB. Why a sender that begins again at that moment is safe: vnet/ring.h, REST.
 *
 * COUNTS per pair are in the table of vnet/pairs.h, if the owner has given one:
 * a busy pair gets a row if there is one, and keeps it until it is no longer busy.
 * They are stored after each batch, as vnet_port_flush() and _settle() publish.
 *
 * A descriptor names a chunk as a *typed segment*:
 *
 *	VNET_INLINE	bytes in the region of the sender
 *	VNET_REFS	the same, and references to blocks of a disk image that
 *			some of these bytes are (vnet/refs.h)
 *
 * The bytes are there in both, so a receiver may ignore references, and a slow
 * one holds neither a guest's own memory nor a block of a cache. References go
 * to ports whose VMs share memory (struct vnet_station), and a port takes them
 * from these alone. Descriptors of other types are dropped and counted.
 *
 * ORDERING: guarantees 1 to 6 of vnet/ring.h, for each pair of ports.
 *
 * PROGRESS
 *  1. Sending never waits for a receiver: vnet_port_room() returns -EAGAIN, and
 *     the caller decides whether it waits (vnet_port_want()) or drops. All
 *     calls end after at most one visit to each peer.
 *  2. A receiver that takes nothing holds fewer chunks than are free
 *     (Choudhury and Hahne's dynamic threshold), so k such receivers leave at
 *     least 1 of k + 1 parts of the chunks to the other destinations.
 *  3. Receiving visits the peers in turn, at most VNET_TURN frames each, so no
 *     peer keeps the frames of another one back.
 *
 * TRUST. The other ports' regions are hostile: each word and descriptor is
 * copied once and checked. A descriptor that is not one of a frame inside the
 * region is dropped and counted (bad). A false index ends the rings of that
 * pair until control replaces the port. References that are none are left out, and
 * the frame is received without. The bytes of a frame may change while
 * they are copied to the guest: the guest has to expect any bytes from a
 * network. The header of offloads is copied and checked. All ports of a network
 * can read all frames that are sent there, as on a shared wire; ports of other
 * networks get no descriptor of the region.
 *
 * THE TABLE OF PORTS needs no RCU: a port has one caller at a time, for sending,
 * receiving, and what control's messages change, so all that is private to a
 * port belongs to that caller. In a worker it is the one that holds the device's
 * lock (monitor/dev/net/virtio_net.h says who that may be); in disco-uplink
 * there is one thread.
 *
 * Wake-ups are bytes in a socket and not an eventfd, for the reason that
 * chan_wake_create() states; and here all other ports hold the same end, so one
 * that reads an eventfd could steal the wake-ups of another one. For the same reason
 * one that calls shutdown(2) ends the wake-ups of all, and leaves the socket readable
 * for ever. disco-uplink needs that call for its own sockets, and workers may not make
 * it: so the port of a VM has to notice (monitor/dev/net/virtio_net.c, net_deafen()).
 *
 * Context of all functions: one thread at a time per port; the next one comes
 * after it by a lock.
 */
#ifndef DISCO_VNET_PORT_H
#define DISCO_VNET_PORT_H

#include <sys/uio.h>

#include "numa/region.h"
#include "vnet/claims.h"
#include "vnet/frame.h"
#include "vnet/pairs.h"
#include "vnet/refs.h"
#include "vnet/ring.h"

#define VNET_SMALL_NR	 2048u
#define VNET_LARGE_NR	 64u
#define VNET_SMALL_ROOM	 1536u /* bytes of a frame */
#define VNET_SMALL_BYTES 1600u /* an odd number of lines: all sets of a cache */
#define VNET_LARGE_BYTES 65728u
#define VNET_HDR_ROOM	 64u /* before the bytes of a frame */
#define VNET_REFS_AT	 16u /* in that room */
#define VNET_NR_CHUNKS	 (VNET_SMALL_NR + VNET_LARGE_NR)
#define VNET_TURN	 32u /* frames from one peer before the next one */
/* See MEMORY. */
#define VNET_RINGS_KEPT	   64u
#define VNET_SWEEP_NS	   5000000000ull
#define VNET_SWEEP_SOON_NS 100000000ull
/*
 * Slot of the trunk: the port, where there is one, that leads to stations that
 * have no port in this network. Frames to addresses that no port has go there.
 */
#define VNET_SLOT_TRUNK 254u

_Static_assert(VNET_HDR_ROOM + VNET_SMALL_ROOM <= VNET_SMALL_BYTES &&
		       VNET_HDR_ROOM + VNET_FRAME_MAX <= VNET_LARGE_BYTES &&
		       VNET_SMALL_BYTES % 64 == 0 && VNET_LARGE_BYTES % 64 == 0,
	       "a frame fits, and begins on a line");
_Static_assert(sizeof(struct vnet_hdr) <= VNET_REFS_AT &&
		       VNET_REFS_AT + sizeof(struct vnet_refs) <= VNET_HDR_ROOM,
	       "references fit");

/* The region. */
struct vnet_shared {
	_Alignas(PAGE_BYTES) _Atomic(uint64_t) sleep;
	struct vnet_claimed claimed;
	_Alignas(PAGE_BYTES) struct vnet_head heads[VNET_PORTS_MAX];
	_Alignas(PAGE_BYTES) struct vnet_line lines[VNET_PORTS_MAX];
	_Alignas(PAGE_BYTES) vnet_slot rings[VNET_PORTS_MAX][VNET_RING_SLOTS];
	_Alignas(PAGE_BYTES) uint8_t small[VNET_SMALL_NR][VNET_SMALL_BYTES];
	_Alignas(PAGE_BYTES) uint8_t large[VNET_LARGE_NR][VNET_LARGE_BYTES];
};

_Static_assert(sizeof(struct vnet_shared) % PAGE_BYTES == 0, "a region");
_Static_assert(offsetof(struct vnet_shared, rings) == 69632, "shared layout");

/*
 * A descriptor: line of the region that the chunk begins at (bits 0-31), bytes
 * of the frame (32-55), type (56-59), flags (60-63).
 */
#define VNET_INLINE   1u
#define VNET_REFS     2u
#define VNET_WITH_HDR 1u /* flag: there is a struct vnet_hdr */

static inline uint64_t vnet_desc(uint64_t offset, uint32_t bytes, unsigned type,
				 unsigned flags)
{
	return offset / 64 | (uint64_t)bytes << 32 | (uint64_t)type << 56 |
	       (uint64_t)flags << 60;
}

struct vnet_stats {
	uint64_t sent, sent_bytes; /* frames; a broadcast counts once */
	uint64_t received, received_bytes;
	uint64_t refused; /* by the filter, or with a bad header */
	uint64_t unknown; /* no port has the destination */
	uint64_t full;	  /* dropped: the destination does not take frames */
	uint64_t bad; /* from peers that break the rules, or their references */
	uint64_t answered; /* by the network itself */
	uint64_t lost;	   /* received, but the guest could not take them */
};

struct vnet_peer {
	uint32_t slot, gen; /* [I] */
	struct vnet_station station;
	struct region_view view; /* its region */
	int wake_fd;		 /* owned */
	struct vnet_tx tx;
	struct vnet_rx rx;
	uint32_t freed; /* tx.slots before it were given back */
	uint32_t held_small, held_large; /* chunks that it has not given back */
	bool dirty;			 /* frames were put and not published */
	bool ring;			 /* tx.slots may have a page */
	bool busy;			 /* the next sweep looks at it */
	uint32_t swept_tail, swept_head; /* of tx and rx, at the last sweep */
	struct vnet_pair_row *row;	 /* NULL: it has none */
	uint64_t counts[VNET_PAIR_WORDS];
	/* Its claims that were accepted; they hold while its words are the same. */
	uint64_t held[VNET_CLAIMS];
};

struct vnet_port {
	struct region own; /* owned */
	struct vnet_shared *shared;
	int wake_fd; /* owned; readable: frames or room */
	uint32_t slot, gen;
	struct vnet_station station;
	struct vnet_plan plan;
	uint64_t sleep; /* as in shared */
	struct vnet_claims claims;
	bool undrained; /* a wake-up is in the socket that was acted on */

	/* By slot, owned; and the same without gaps. */
	struct vnet_peer *peers[VNET_PORTS_MAX];
	uint16_t list[VNET_PORTS_MAX];
	unsigned nr_peers;
	unsigned turn;	/* index in list: who is received from */
	unsigned taken; /* frames from it in its turn */
	uint32_t seen;	/* frames of it that are known to be there */
	unsigned nr_dirty;
	unsigned nr_busy, nr_rings;
	bool untended;	   /* see vnet_port_untended() */
	uint64_t sweep_ns; /* when the next sweep is due; 0: it is not */

	/* VNET_PAIRS, not owned; NULL: nobody reads them. */
	struct vnet_pair_row *rows;
	uint64_t rows_used;	       /* bit per row */
	uint16_t free[VNET_NR_CHUNKS]; /* two stacks: small, large */
	uint32_t nr_small, nr_large;
	uint16_t users[VNET_NR_CHUNKS];
	struct vnet_stats stats;
};

/* A chunk to write a frame to. */
struct vnet_buf {
	uint16_t chunk;
	uint8_t *bytes;	      /* of the frame */
	struct vnet_hdr *hdr; /* written if the frame has one */
	/*
	 * References, not shared yet: zeroes after vnet_port_begin(). They are sent
	 * if there are any, and @to of vnet_port_send() is a port that shares.
	 */
	struct vnet_refs refs;
};

/**
 * vnet_port_create() - become a port of a network
 * @region_fd: from region_prepare(), of sizeof(struct vnet_shared) bytes; owned
 *             by the port, also on error. It becomes REGION_PUNCHED: no process
 *             that has a reader's descriptor has /proc or open(2)
 * @wake_fd:   the receiving end of chan_wake_create(); owned, also on error
 * @slot:      0 .. VNET_PORTS_MAX - 1, no other port's of the network
 * @gen:       not 0; larger than that of an earlier port of this slot
 * @out:       release with vnet_port_destroy(); untouched on error
 *
 * Return: 0; -EINVAL slot or gen; -ENOMEM; errors of
 * region_take_punched().
 */
MUST_CHECK int vnet_port_create(int region_fd, int wake_fd, uint32_t slot,
				uint32_t gen, const struct vnet_station *own,
				const struct vnet_plan *plan,
				struct vnet_port **out);
void vnet_port_destroy(struct vnet_port *p);

/**
 * vnet_port_add() - another port is there
 * @slot, @gen: as of vnet_port_create()
 * @region_fd:  for reading; @wake_fd: the sending end; both owned, also on error
 *
 * A port that is known already stays as it is. An older one of the same slot is
 * removed. Return: 0; -EINVAL slot or gen, or own slot; -EEXIST a newer port has
 * this slot; -ENOMEM; errors of region_attach().
 */
MUST_CHECK int vnet_port_add(struct vnet_port *p, uint32_t slot, uint32_t gen,
			     const struct vnet_station *station, int region_fd,
			     int wake_fd);

/* The port of this slot has ended; @gen 0: whichever it is. */
void vnet_port_remove(struct vnet_port *p, uint32_t slot, uint32_t gen);

/*
 * Count each pair in @rows from now on: VNET_PAIRS of them, zeroes at the start,
 * which outlive the port. Context: before the first port is added.
 */
void vnet_port_show_pairs(struct vnet_port *p, struct vnet_pair_row *rows);

/* Return: the port of an address, or NULL. */
struct vnet_peer *vnet_port_by_mac(const struct vnet_port *p,
				   const uint8_t mac[VNET_MAC_BYTES]);
/* A port without an address, as the trunk, has none: not 0.0.0.0 either. */
struct vnet_peer *vnet_port_by_ip(const struct vnet_port *p,
				  const uint8_t ip[4]);
/*
 * Whose link-local address, or address of the network's prefix, it is, by the plan or
 * by a claim. NULL also for that of the port's own station. In vnet/claims.c.
 */
struct vnet_peer *vnet_port_by_ip6(const struct vnet_port *p,
				   const uint8_t ip[VNET_IP6_BYTES]);

/* Return: the port that unknown addresses are behind; NULL: there is none. */
static inline struct vnet_peer *vnet_port_trunk(const struct vnet_port *p)
{
	return p->peers[VNET_SLOT_TRUNK];
}

/* --- sending --- */

/**
 * vnet_port_room() - is there room for a frame?
 * @to:    a peer; NULL: all of them
 * @bytes: of the frame
 *
 * Return: 0; -EAGAIN @to has taken too little so far, see vnet_port_want();
 * -ENOBUFS its ring is dead, or no chunk is left although it holds none.
 */
MUST_CHECK int vnet_port_room(struct vnet_port *p, struct vnet_peer *to,
			      uint32_t bytes);

/*
 * Announce that this port waits for room at @to. Return: true: wait until wake_fd
 * is readable; false: try again now.
 */
MUST_CHECK bool vnet_port_want(struct vnet_port *p, struct vnet_peer *to);

/* Take a chunk; vnet_port_room() has returned 0 for as many @bytes. */
void vnet_port_begin(struct vnet_port *p, uint32_t bytes, struct vnet_buf *b);

/**
 * vnet_port_send() - send what was written to a chunk
 * @to:    a peer; NULL: all that have room
 * @bytes: as of vnet_port_begin()
 * @hdr:   b->hdr was written
 *
 * Peers see it after vnet_port_flush().
 */
void vnet_port_send(struct vnet_port *p, const struct vnet_buf *b,
		    struct vnet_peer *to, uint32_t bytes, bool hdr);

/* Publish, and wake who sleeps. */
void vnet_port_flush(struct vnet_port *p);

/* A frame for @to is dropped, as it takes none. NULL: of all, for want of chunks. */
void vnet_port_drop(struct vnet_port *p, struct vnet_peer *to);

/* --- receiving --- */

/* A frame in the region of its sender, which may change it at any time. */
struct vnet_frame {
	struct vnet_peer *from;
	const uint8_t *bytes;
	uint32_t len;	       /* 14 .. VNET_FRAME_MAX */
	struct vnet_hdr hdr;   /* a valid copy; zeroes: none */
	struct vnet_refs refs; /* a checked copy; image 0: none */
	bool bad_refs;	       /* there were some that are none */
};

/* Return: true: the next frame; false: there is none now. */
MUST_CHECK bool vnet_port_next(struct vnet_port *p, struct vnet_frame *f);

/* The frame of vnet_port_next() was copied, or is not wanted. */
void vnet_port_take(struct vnet_port *p, const struct vnet_frame *f);

/* Count a frame that the guest could not take; @from NULL: it is nobody's. */
void vnet_port_lose(struct vnet_port *p, struct vnet_peer *from);

/* Let the senders see what was taken, and wake who waits for it. */
void vnet_port_settle(struct vnet_port *p);

/**
 * vnet_port_sleep() - announce that this port is going to sleep
 *
 * Return: true: wait until wake_fd is readable, then call vnet_port_awake();
 * false: there are frames.
 */
MUST_CHECK bool vnet_port_sleep(struct vnet_port *p);

/*
 * Wakes are not sent to this port until it sleeps again. The socket is emptied
 * afterwards, when frames are on their way to the guest: by the next
 * vnet_port_settle(), or before this port announces anything by vnet_port_sleep()
 * or vnet_port_want(), so that what comes for that stays there. So one of them must
 * be called before the socket is waited for again.
 */
void vnet_port_awake(struct vnet_port *p);

/* --- memory that is not used --- */

/*
 * One visit to each peer, and a system call for each ring that goes. See MEMORY.
 * vnet_port_tend() calls it when it is due.
 */
void vnet_port_sweep(struct vnet_port *p);

/*
 * Must vnet_port_tend() be called now? To be asked after each batch: a pair has
 * become busy since, or there are more rings than the budget.
 */
static inline bool vnet_port_untended(const struct vnet_port *p)
{
	return p->untended;
}

/**
 * vnet_port_tend() - sweep, if that is due
 * @now_ns: clock_now_ns()
 *
 * Return: when it must be called again (or before); 0: not until
 * vnet_port_untended() says so.
 */
uint64_t vnet_port_tend(struct vnet_port *p, uint64_t now_ns);

#endif
