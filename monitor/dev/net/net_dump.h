/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copies of a device's frames for a dump (disco/net_dump.h). Off it costs one
 * comparison per frame. It never waits: what the socket does not take is counted
 * as lost to the dump.
 *
 * Context of all functions: the device's lock is held.
 */
#ifndef DISCO_MONITOR_NET_DUMP_H
#define DISCO_MONITOR_NET_DUMP_H

#include <sys/uio.h>

#include "disco/net_dump.h"
#include "vnet/frame.h"

struct net_dump {
	int fd; /* owned; -1: off */
	uint32_t net;
	uint32_t most; /* bytes of a frame */
	uint64_t lost;
};

/* @fd: owned by @d; takes the place of an earlier one. */
void net_dump_begin(struct net_dump *d, int fd, uint32_t net, uint32_t most);
void net_dump_end(struct net_dump *d);

/**
 * net_dump_frame() - send a copy of a frame
 * @skip: bytes of @iov before the frame
 * @len:  of the frame; @iov has as many
 *
 * A dump whose reader has gone ends.
 */
void net_dump_frame(struct net_dump *d, enum net_dump_way way,
		    const struct vnet_hdr *hdr, const struct iovec *iov,
		    unsigned nr_iov, size_t skip, uint32_t len);

static inline bool net_dump_on(const struct net_dump *d)
{
	return d->fd >= 0;
}

#endif
