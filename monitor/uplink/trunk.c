/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/uplink/trunk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "vnet/packet.h"
#include "vnet/reply.h"

#define BATCH 64u

struct trunk {
	struct vnet_port *port;
	int fd;
	bool gone;
	uint8_t server[VNET_MAC_BYTES]; /* [I] the network's own address */
	struct vnet_hdr hdr;
	/* A private copy; one byte more, so that longer frames are noticed. */
	uint8_t frame[VNET_FRAME_MAX + 1];
};

int trunk_create(struct vnet_port *port, int fd, struct trunk **out)
{
	struct trunk *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->port = port;
	t->fd = fd;
	vnet_mac_of_ip(port->plan.server, t->server);
	*out = t;
	return 0;
}

void trunk_destroy(struct trunk *t)
{
	free(t);
}

bool trunk_is_gone(const struct trunk *t)
{
	return t->gone;
}

/* Of read() and write(): EBADFD is what a device says that was deleted. */
static bool trunk_failed(struct trunk *t, ssize_t n)
{
	if (n >= 0)
		return false;
	t->gone = t->gone || errno == EBADFD || errno == ENODEV;
	return true;
}

/* --- to the device --- */

/* What stays in the network is refused: see the head of trunk.h. */
static bool trunk_may_send(const struct trunk *t, const struct vnet_frame *f)
{
	uint32_t look = (uint32_t)min_u64(f->len, VNET_LOOK_BYTES);

	if (!vnet_hdr_is_apart(&t->hdr, t->frame, look))
		return false;
	switch (vnet_filter(&f->from->station, &t->port->plan, t->frame,
			    look)) {
	case VNET_FORWARD:
		return true;
	case VNET_LOCAL:
		return vnet_get16(t->frame + ETH_TYPE) != ETHERTYPE_IP4;
	default:
		return false;
	}
}

static void trunk_send(struct trunk *t, const struct vnet_frame *f)
{
	const struct iovec iov[] = {
		{ .iov_base = &t->hdr, .iov_len = sizeof(t->hdr) },
		{ .iov_base = t->frame, .iov_len = f->len },
	};

	/* Its sender may change it at any time. */
	memcpy(t->frame, f->bytes, f->len);
	t->hdr = f->hdr; /* valid for that length */
	vnet_hdr_clean(&t->hdr);
	if (!trunk_may_send(t, f)) {
		t->port->stats.refused++;
		return;
	}
	/* It is down, its queue is full, or the kernel does not like it. */
	if (trunk_failed(t, writev(t->fd, iov, ARRAY_SIZE(iov))))
		vnet_port_lose(t->port, f->from);
}

bool trunk_send_frames(struct trunk *t)
{
	struct vnet_frame f;
	unsigned i = 0;

	for (; i < BATCH && vnet_port_next(t->port, &f); i++) {
		trunk_send(t, &f);
		vnet_port_take(t->port, &f);
	}
	vnet_port_settle(t->port);
	return i == BATCH;
}

/* --- from the device --- */

static bool trunk_is_our_mac(const struct trunk *t, const uint8_t *mac)
{
	return vnet_port_by_mac(t->port, mac) ||
	       memcmp(mac, t->server, VNET_MAC_BYTES) == 0;
}

/* Is it an address that nobody behind the device can have? */
static bool trunk_is_ours4(const struct vnet_port *p, const uint8_t ip[4])
{
	static const uint8_t none[4]; /* asks whether an address is free */

	return memcmp(ip, none, sizeof(none)) != 0 &&
	       (memcmp(ip, p->plan.server, 4) == 0 || vnet_port_by_ip(p, ip));
}

static bool trunk_is_ours6(const struct trunk *t,
			   const uint8_t ip[VNET_IP6_BYTES])
{
	return vnet_port_by_ip6(t->port, ip) ||
	       vnet_is_ip6_of(ip, t->port->plan.prefix6, t->server);
}

static bool trunk_is_foreign6(const struct trunk *t, const uint8_t *ip,
			      uint32_t len)
{
	const uint8_t *claim;

	return len >= IP6_BYTES && ip[0] >> 4 == 6 &&
	       !trunk_is_ours6(t, ip + IP6_SRC) &&
	       vnet_ip6_claim(ip, len, &claim) &&
	       !(claim && trunk_is_ours6(t, claim));
}

/* @in: behind the Ethernet header, @len bytes. */
static bool trunk_is_foreign(const struct trunk *t, unsigned type,
			     const uint8_t *in, uint32_t len)
{
	const struct vnet_port *p = t->port;

	switch (type) {
	case ETHERTYPE_IP4:
		return len >= IP4_BYTES && in[0] >> 4 == 4 &&
		       !trunk_is_ours4(p, in + IP4_SRC);
	case ETHERTYPE_ARP:
		return len >= ARP_BYTES && !trunk_is_our_mac(t, in + ARP_SHA) &&
		       !trunk_is_ours4(p, in + ARP_SPA);
	case ETHERTYPE_IP6:
		return trunk_is_foreign6(t, in, len);
	default:
		return false;
	}
}

static bool trunk_may_take(const struct trunk *t, uint32_t len)
{
	const uint8_t *f = t->frame;

	return len >= VNET_ETH_BYTES && len <= VNET_FRAME_MAX &&
	       vnet_hdr_valid(&t->hdr, len) &&
	       vnet_hdr_is_apart(&t->hdr, f,
				 (uint32_t)min_u64(len, VNET_LOOK_BYTES)) &&
	       !vnet_is_group(f + ETH_SRC) &&
	       !trunk_is_our_mac(t, f + ETH_SRC) &&
	       trunk_is_foreign(t, vnet_get16(f + ETH_TYPE), f + VNET_ETH_BYTES,
				len - VNET_ETH_BYTES);
}

static void trunk_deliver(struct trunk *t, uint32_t len)
{
	static const struct vnet_hdr none;
	struct vnet_peer *to = NULL;
	bool with_hdr;
	struct vnet_buf b;

	vnet_hdr_clean(&t->hdr);
	if (!trunk_may_take(t, len)) {
		t->port->stats.refused++;
		return;
	}
	if (!vnet_is_group(t->frame)) {
		to = vnet_port_by_mac(t->port, t->frame);
		/* A bridge that does not know where it is floods it. */
		t->port->stats.unknown += !to;
		if (!to)
			return;
	}
	if (vnet_port_room(t->port, to, len)) {
		vnet_port_drop(t->port, to);
		return;
	}
	with_hdr = memcmp(&t->hdr, &none, sizeof(none)) != 0;
	vnet_port_begin(t->port, len, &b);
	memcpy(b.bytes, t->frame, len);
	if (with_hdr)
		*b.hdr = t->hdr;
	vnet_port_send(t->port, &b, to, len, with_hdr);
}

bool trunk_take_frames(struct trunk *t)
{
	const struct iovec iov[] = {
		{ .iov_base = &t->hdr, .iov_len = sizeof(t->hdr) },
		{ .iov_base = t->frame, .iov_len = sizeof(t->frame) },
	};
	unsigned i = 0;

	for (; i < BATCH; i++) {
		ssize_t n = readv(t->fd, iov, ARRAY_SIZE(iov));

		if (trunk_failed(t, n) || n == 0)
			break;
		if (n >= (ssize_t)sizeof(t->hdr))
			trunk_deliver(t,
				      (uint32_t)((size_t)n - sizeof(t->hdr)));
		else
			t->port->stats.refused++;
	}
	vnet_port_flush(t->port);
	return i == BATCH;
}
