/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/dev/net/net_dump.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PIECES 64u /* of a frame; one in more pieces is cut there */

void net_dump_begin(struct net_dump *d, int fd, uint32_t net, uint32_t most)
{
	net_dump_end(d);
	*d = (struct net_dump){ .fd = fd, .net = net, .most = most };
}

void net_dump_end(struct net_dump *d)
{
	if (d->fd >= 0)
		(void)close(d->fd);
	d->fd = -1;
}

/* Pieces of @len bytes from @skip on. Return: how many; *@got bytes are there. */
static unsigned dump_pieces(const struct iovec *iov, unsigned nr, size_t skip,
			    uint32_t len, struct iovec *out, uint32_t *got)
{
	unsigned n = 0;

	*got = 0;
	for (unsigned i = 0; i < nr && n < PIECES && *got < len; i++) {
		size_t bytes = iov[i].iov_len;

		if (skip >= bytes) {
			skip -= bytes;
			continue;
		}
		bytes = min_u64(bytes - skip, len - *got);
		out[n].iov_base = (uint8_t *)iov[i].iov_base + skip;
		out[n++].iov_len = bytes;
		*got += (uint32_t)bytes;
		skip = 0;
	}
	return n;
}

void net_dump_frame(struct net_dump *d, enum net_dump_way way,
		    const struct vnet_hdr *hdr, const struct iovec *iov,
		    unsigned nr_iov, size_t skip, uint32_t len)
{
	struct net_dump_frame f = {
		.lost = d->lost, .net = d->net, .way = way, .len = len
	};
	struct iovec v[1 + PIECES];
	struct msghdr m = { .msg_iov = v };
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	f.time_ns = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
	memcpy(f.hdr, hdr, sizeof(*hdr));
	v[0] = (struct iovec){ &f, sizeof(f) };
	m.msg_iovlen = 1 + dump_pieces(iov, nr_iov, skip,
				       (uint32_t)min_u64(len, d->most), v + 1,
				       &f.cut);
	if (sendmsg(d->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return;
	d->lost++;
	if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN)
		net_dump_end(d);
}
