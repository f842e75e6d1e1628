/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio network device: a station of a virtual network (vnet/port.h).
 *
 * A frame that the guest sends is copied once, into a chunk of the port's
 * region; the receiver's device copies it from there into its guest's buffers.
 * Frames with checksums or segmentation left to do travel whole, as the guest
 * sent them. A guest that cannot take them gets complete checksums, and segments
 * (vnet/segment.h). References (vnet/refs.h) are found and taken by whoever has
 * the buffer cache (virtio_net_use_refs()); the device only carries them.
 *
 * Queues: up to NET_MAX_QUEUES pairs of a receive and a transmit queue; pair i
 * has the queues 2i and 2i + 1. The control queue comes after those of all pairs
 * if the driver has accepted MQ, else after those of the first one. The driver
 * decides how many pairs are in use, one at first (VQ_PAIRS_SET). The I/O
 * thread serves all queues. A frame is received on the pair that net_steer.h
 * finds for its flow, among those in use; if the driver has not enabled that
 * queue, on the first one. What a driver has put into the transmit queue of a
 * pair that is not in use is sent: Linux reduces the pairs before it stops using
 * their transmit queues, and would wait for these frames for ever. A device of
 * one pair does not offer MQ.
 *
 * Waiting: frames for a destination that is behind stay in the transmit queue,
 * at most NET_PATIENCE_NS since it last took one. From then on its frames are
 * dropped until it takes some, so that it cannot keep back what the guest sends
 * to others. Each transmit queue waits for itself. Frames that arrive while
 * the guest has no buffers in the pair of the next one stay in their ring, in
 * order, so their sender waits in turn: a guest that leaves one receive queue
 * empty gets frames as late as if it had no other one. The choice of the pair is
 * made again whenever the frame is tried.
 *
 * Every command of the control queue completes, also if the driver sends it
 * before DRIVER_OK: Linux spins until then, without a limit.
 *
 * LONELY FRAMES. A vCPU that notifies a transmit queue sends the frame itself,
 * before it goes back to the guest, if that is the only one that waits, is at most
 * VNET_SMALL_ROOM bytes long, and the guest has received a frame since a vCPU last
 * sent one: as in requests and answers, whose time is that of waking threads. It
 * then takes one thread to bring a frame to the other guest, its I/O thread, and
 * not two. Everything else is for the I/O thread, which is woken: streams, where it
 * works while the guest goes on, and is not notified while it does; frames while a
 * dump runs; and all while another thread has the lock, as the vCPU does not wait
 * for it. The rules are those of virtio_ops.in_exit (virtio_pci.h).
 *
 * WHO HOLDS THE PORT. A port has one caller at a time (vnet/port.h): whoever
 * holds the device's lock, struct virtio_dev.lock. That is the I/O thread, which
 * serves the queues, is woken by other ports and by the timer, and adds and
 * removes ports; a vCPU that sends a lonely frame; and virtio_net_create() and
 * _destroy(), when no other thread has the device. A vCPU that resets the device, or
 * writes another register, holds the lock and does not call the port, but to end its
 * claims of addresses (vnet_port_forget()), as its link has gone.
 *
 * Context: as virtio_pci.h.
 * Source: virtio 1.2, 5.1.
 */
#ifndef DISCO_MONITOR_VIRTIO_NET_H
#define DISCO_MONITOR_VIRTIO_NET_H

#include "monitor/dev/virtio/virtio_pci.h"
#include "vnet/port.h"

#define NET_QUEUE_RX	0u
#define NET_QUEUE_TX	1u
#define NET_QUEUE_CTRL	2u /* without MQ */
#define NET_RX(pair)	(2 * (pair))
#define NET_TX(pair)	(2 * (pair) + 1)
#define NET_PATIENCE_NS 20000000ull

/* Feature bits, 5.1.3. */
#define NET_F_CSUM	     (1ull << 0)
#define NET_F_GUEST_CSUM     (1ull << 1)
#define NET_F_MTU	     (1ull << 3)
#define NET_F_MAC	     (1ull << 5)
#define NET_F_GUEST_TSO4     (1ull << 7)
#define NET_F_GUEST_TSO6     (1ull << 8)
#define NET_F_GUEST_ECN	     (1ull << 9)
#define NET_F_HOST_TSO4	     (1ull << 11)
#define NET_F_HOST_TSO6	     (1ull << 12)
#define NET_F_HOST_ECN	     (1ull << 13)
#define NET_F_MRG_RXBUF	     (1ull << 15)
#define NET_F_STATUS	     (1ull << 16)
#define NET_F_CTRL_VQ	     (1ull << 17)
#define NET_F_CTRL_RX	     (1ull << 18)
#define NET_F_GUEST_ANNOUNCE (1ull << 21)
#define NET_F_MQ	     (1ull << 22) /* with several pairs only */

/* What every guest is offered: pinned, as a driver keeps what it negotiated. */
#define NET_FEATURES                                                           \
	(NET_F_CSUM | NET_F_GUEST_CSUM | NET_F_MTU | NET_F_MAC |               \
	 NET_F_GUEST_TSO4 | NET_F_GUEST_TSO6 | NET_F_GUEST_ECN |               \
	 NET_F_HOST_TSO4 | NET_F_HOST_TSO6 | NET_F_HOST_ECN |                  \
	 NET_F_MRG_RXBUF | NET_F_STATUS | NET_F_CTRL_VQ | NET_F_CTRL_RX |      \
	 NET_F_GUEST_ANNOUNCE)

/* Counts of struct vnet_stats, in its order. */
#define NET_COUNTS ((unsigned)(sizeof(struct vnet_stats) / sizeof(uint64_t)))
/* Where the words of its claims follow; and all that is shown. */
#define NET_SHOWN_CLAIMS 16u
#define NET_SHOWN	 (NET_SHOWN_CLAIMS + VNET_CLAIM_WORDS)

struct virtio_net;

/*
 * Who knows which pages of a guest are blocks of a disk image. Context of both: the
 * I/O thread, with the device's lock; they neither block nor call the device.
 */
struct net_refs_ops {
	/* A frame is being sent: @iov, from byte @skip on. @out: has none. */
	void (*find)(void *arg, const struct iovec *iov, unsigned nr_iov,
		     size_t skip, struct vnet_refs *out);
	/* The guest got a frame that @refs, checked, came with. */
	void (*got)(void *arg, const struct vnet_refs *refs);
};

/**
 * virtio_net_create() - create the device of a port
 * @port: owned by the device, also on error
 * @name: of the network; not owned, outlives the device
 * @counts: where the counts and claims of its port are stored after each batch,
 *        NET_SHOWN words; outlives the device; NULL: nowhere
 * @pairs: of queues, 1 .. NET_MAX_QUEUES
 * @out:  release with virtio_net_destroy(); untouched on error
 *
 * Return: 0; -ENOMEM; -errno of timerfd_create(), eventfd() and the watches.
 */
MUST_CHECK int virtio_net_create(struct dev_host *host, struct vnet_port *port,
				 const char *name, _Atomic(uint64_t) *counts,
				 unsigned pairs, struct virtio_net **out);
void virtio_net_destroy(struct virtio_net *n);

struct virtio_dev *virtio_net_dev(struct virtio_net *n);

/*
 * Frames of more than VNET_SMALL_ROOM bytes, to ports that share memory, carry
 * references from now on, and those that come with frames are passed on.
 * @ops, @arg: outlive the device. Context: before the driver is there.
 */
void virtio_net_use_refs(struct virtio_net *n, const struct net_refs_ops *ops,
			 void *arg);

/*
 * The port, to look at its counts. Context: while nobody else holds it; for
 * tests.
 */
struct vnet_port *virtio_net_port(struct virtio_net *n);

/*
 * vnet_port_add() and vnet_port_remove(): descriptors and errors are as there.
 * What waits for a port that is gone is dropped. Context: I/O thread.
 */
MUST_CHECK int virtio_net_add_port(struct virtio_net *n, uint32_t slot,
				   uint32_t gen,
				   const struct vnet_station *station,
				   int region_fd, int wake_fd);
void virtio_net_remove_port(struct virtio_net *n, uint32_t slot, uint32_t gen);

/*
 * Copy all frames to @fd from now on, at most @most bytes of each, until its
 * reader has gone or another dump takes its place (disco/net_dump.h). @fd is
 * owned by the device. Context: I/O thread.
 */
void virtio_net_dump(struct virtio_net *n, int fd, uint32_t net, uint32_t most);

#endif
