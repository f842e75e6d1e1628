/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/uplink/nat.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <slirp/libslirp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vnet/packet.h"
#include "vnet/reply.h"

#define BATCH	  64u
#define POLLS_MAX 4096u
#define MRU	  65521u /* what libslirp takes at most; not checked by it */
#define ARPS	  16u
#define KNOCKS	  256u
#define PROTO_TCP 6u
#define TCP_FLAGS 13
#define TCP_SYN	  2u
#define TCP_ACK	  16u

/* A datagram from the host itself to a published port, to be answered. */
struct nat_knock {
	uint8_t guest_ip[4];
	uint16_t guest_port, host_port;
};

struct nat {
	struct vnet_port *port;
	Slirp *slirp;
	struct pollfd polls[POLLS_MAX];
	unsigned nr_polls;
	/* Addresses that libslirp has asked for, to be answered in a moment. */
	uint8_t asked[ARPS][4];
	unsigned nr_asked;
	struct nat_knock knocks[KNOCKS];
	unsigned next_knock;
	uint8_t frame[VNET_FRAME_MAX];
};

/* --- what libslirp calls --- */

static void nat_ask(struct nat *n, const uint8_t *arp, size_t len)
{
	if (len >= ARP_BYTES && vnet_get16(arp + ARP_OP) == ARP_WHO &&
	    n->nr_asked < ARPS)
		memcpy(n->asked[n->nr_asked++], arp + ARP_TPA, 4);
}

static bool nat_knows(const struct nat *n, const struct nat_knock *k)
{
	for (unsigned i = 0; i < KNOCKS; i++)
		if (memcmp(&n->knocks[i], k, sizeof(*k)) == 0)
			return true;
	return false;
}

/* Connections of the host itself come from the network's own address. */
static void nat_remember(struct nat *n, const uint8_t *ip, uint32_t len)
{
	struct nat_knock k = { .host_port = 0 };

	if (len < IP4_BYTES + UDP_BYTES || ip[0] != 0x45 ||
	    ip[IP4_PROTO] != PROTO_UDP ||
	    memcmp(ip + IP4_SRC, n->port->plan.server, 4) != 0)
		return;
	memcpy(k.guest_ip, ip + IP4_DST, sizeof(k.guest_ip));
	k.host_port = vnet_get16(ip + IP4_BYTES + UDP_SPORT);
	k.guest_port = vnet_get16(ip + IP4_BYTES + UDP_DPORT);
	if (!nat_knows(n, &k))
		n->knocks[n->next_knock++ % KNOCKS] = k;
}

/* To a station. What it does not take is lost, as on a wire. */
static void nat_send(struct nat *n, const uint8_t *frame, uint32_t len)
{
	struct vnet_peer *to = vnet_port_by_mac(n->port, frame);
	struct vnet_buf b;

	if (!to || vnet_port_room(n->port, to, len)) {
		vnet_port_drop(n->port, to);
		return;
	}
	nat_remember(n, frame + VNET_ETH_BYTES, len - VNET_ETH_BYTES);
	vnet_port_begin(n->port, len, &b);
	memcpy(b.bytes, frame, len);
	memcpy(b.bytes + ETH_SRC, n->port->station.mac, VNET_MAC_BYTES);
	vnet_port_send(n->port, &b, to, len, false);
}

static ssize_t on_packet(const void *bytes, size_t len, void *nat)
{
	const uint8_t *frame = bytes;

	if (len < VNET_ETH_BYTES || len > VNET_FRAME_MAX)
		return (ssize_t)len;
	if (vnet_get16(frame + ETH_TYPE) == ETHERTYPE_ARP)
		nat_ask(nat, frame + VNET_ETH_BYTES, len - VNET_ETH_BYTES);
	else
		nat_send(nat, frame, (uint32_t)len);
	return (ssize_t)len;
}

static void on_error(const char *text, void *nat)
{
	(void)text; /* a guest could fill a log with it */
	(void)nat;
}

static int64_t on_clock(void *nat)
{
	struct timespec t;

	(void)nat;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Timers are for router advertisements, which are not made here. */
static void *on_timer_new(SlirpTimerCb cb, void *arg, void *nat)
{
	(void)cb;
	(void)arg;
	return nat;
}

static void on_timer_free(void *timer, void *nat)
{
	(void)timer;
	(void)nat;
}

static void on_timer_mod(void *timer, int64_t at_ms, void *nat)
{
	(void)timer;
	(void)at_ms;
	(void)nat;
}

/* poll() gets all descriptors anew each time. */
static void on_fd(int fd, void *nat)
{
	(void)fd;
	(void)nat;
}

static void on_notify(void *nat)
{
	(void)nat;
}

static const SlirpCb callbacks = {
	.send_packet = on_packet,
	.guest_error = on_error,
	.clock_get_ns = on_clock,
	.timer_new = on_timer_new,
	.timer_free = on_timer_free,
	.timer_mod = on_timer_mod,
	.register_poll_fd = on_fd,
	.unregister_poll_fd = on_fd,
	.notify = on_notify,
};

int nat_create(struct vnet_port *port, struct nat **out)
{
	const struct vnet_plan *plan = &port->plan;
	uint32_t mask = vnet_mask(plan->bits);
	SlirpConfig cfg = {
		.version = 3,
		.in_enabled = true,
		.vnetmask.s_addr = htonl(mask),
		.vnetwork.s_addr = htonl(vnet_ip4(plan->server) & mask),
		.vhost.s_addr = htonl(vnet_ip4(plan->server)),
		.vnameserver.s_addr = htonl(vnet_ip4(plan->server)),
		/* Not used: nobody's question for an address gets here. */
		.vdhcp_start.s_addr = htonl(vnet_ip4(plan->server) + 1),
		.if_mtu = VNET_MTU,
		.if_mru = MRU,
		/* What goes to the host itself is decided by nat_answers(). */
		.disable_dns = true,
	};
	struct nat *n = calloc(1, sizeof(*n));

	if (!n)
		return -ENOMEM;
	n->port = port;
	n->slirp = slirp_new(&cfg, &callbacks, n);
	if (!n->slirp) {
		free(n);
		return -ENOMEM;
	}
	*out = n;
	return 0;
}

/* --- frames of the network --- */

/*
 * To the network's own address go answers alone: of TCP all but the beginning of
 * a connection, of UDP what a published port was asked before. libslirp takes
 * that address for the host's 127.0.0.1.
 */
static bool nat_answers(const struct nat *n, const uint8_t *ip, uint32_t len)
{
	const uint8_t *l4 = ip + IP4_BYTES;
	struct nat_knock k = { .host_port = 0 };

	/* Neither options nor pieces, in which something could be hidden. */
	if (ip[0] != 0x45 || vnet_get16(ip + IP4_FRAG) & 0x3fff)
		return false;
	if (ip[IP4_PROTO] == PROTO_TCP && len >= IP4_BYTES + 20)
		return (l4[TCP_FLAGS] & (TCP_SYN | TCP_ACK)) != TCP_SYN;
	if (ip[IP4_PROTO] != PROTO_UDP || len < IP4_BYTES + UDP_BYTES)
		return false;
	memcpy(k.guest_ip, ip + IP4_SRC, sizeof(k.guest_ip));
	k.guest_port = vnet_get16(l4 + UDP_SPORT);
	k.host_port = vnet_get16(l4 + UDP_DPORT);
	return nat_knows(n, &k);
}

static bool nat_wants(const struct nat *n, const struct vnet_frame *f)
{
	const uint8_t *ip = n->frame + VNET_ETH_BYTES, *dst = ip + IP4_DST;
	const struct vnet_plan *plan = &n->port->plan;
	uint32_t subnet = vnet_ip4(plan->server) & vnet_mask(plan->bits);

	return f->len >= VNET_ETH_BYTES + IP4_BYTES &&
	       f->len <= VNET_FRAME_MAX &&
	       vnet_get16(n->frame + ETH_TYPE) == ETHERTYPE_IP4 &&
	       memcmp(n->frame + ETH_SRC, f->from->station.mac,
		      VNET_MAC_BYTES) == 0 &&
	       memcmp(ip + IP4_SRC, f->from->station.ip, 4) == 0 &&
	       dst[0] != 0 && dst[0] != 127 && dst[0] < 224 &&
	       ((vnet_ip4(dst) & vnet_mask(plan->bits)) != subnet ||
		(memcmp(dst, plan->server, 4) == 0 &&
		 nat_answers(n, ip, f->len - VNET_ETH_BYTES)));
}

/* Segments travel whole; libslirp checks the sum of what it gets. */
static void nat_input(struct nat *n, const struct vnet_frame *f)
{
	memcpy(n->frame, f->bytes, f->len);
	if (!nat_wants(n, f)) {
		n->port->stats.refused++;
		return;
	}
	vnet_csum_complete(&f->hdr, n->frame, f->len);
	slirp_input(n->slirp, n->frame, (int)f->len);
}

bool nat_take_frames(struct nat *n)
{
	struct vnet_frame f;
	unsigned i = 0;

	for (; i < BATCH && vnet_port_next(n->port, &f); i++) {
		nat_input(n, &f);
		vnet_port_take(n->port, &f);
	}
	vnet_port_settle(n->port);
	vnet_port_flush(n->port);
	return i == BATCH;
}

/* Who has an address, to libslirp, as an answer from the station. */
static void nat_answer(struct nat *n, const uint8_t ip[4])
{
	static const uint8_t kind[] = { 0, 1, 8, 0, 6, 4, 0, ARP_ANSWER };
	const struct vnet_peer *q = vnet_port_by_ip(n->port, ip);
	uint8_t f[VNET_ETH_BYTES + ARP_BYTES] = { 0 };
	uint8_t *arp = f + VNET_ETH_BYTES;

	if (!q)
		return;
	memcpy(f + ETH_DST, n->port->station.mac, VNET_MAC_BYTES);
	memcpy(f + ETH_SRC, q->station.mac, VNET_MAC_BYTES);
	vnet_put16(f + ETH_TYPE, ETHERTYPE_ARP);
	memcpy(arp, kind, sizeof(kind));
	memcpy(arp + ARP_SHA, q->station.mac, VNET_MAC_BYTES);
	memcpy(arp + ARP_SPA, q->station.ip, 4);
	memcpy(arp + ARP_THA, n->port->station.mac, VNET_MAC_BYTES);
	memcpy(arp + ARP_TPA, n->port->station.ip, 4);
	slirp_input(n->slirp, f, sizeof(f));
}

/* --- waiting --- */

static int on_add_poll(int fd, int events, void *nat)
{
	struct nat *n = nat;
	int poll_events = 0;

	if (n->nr_polls == POLLS_MAX)
		return -1;
	if (events & SLIRP_POLL_IN)
		poll_events |= POLLIN;
	if (events & SLIRP_POLL_OUT)
		poll_events |= POLLOUT;
	if (events & SLIRP_POLL_PRI)
		poll_events |= POLLPRI;
	n->polls[n->nr_polls] =
		(struct pollfd){ .fd = fd, .events = (short)poll_events };
	return (int)n->nr_polls++;
}

static int on_get_revents(int at, void *nat)
{
	const struct nat *n = nat;
	int got = at < 0 ? 0 : n->polls[at].revents, events = 0;

	if (got & POLLIN)
		events |= SLIRP_POLL_IN;
	if (got & POLLOUT)
		events |= SLIRP_POLL_OUT;
	if (got & POLLPRI)
		events |= SLIRP_POLL_PRI;
	if (got & POLLERR)
		events |= SLIRP_POLL_ERR;
	if (got & POLLHUP)
		events |= SLIRP_POLL_HUP;
	return events;
}

void nat_wait(struct nat *n, struct pollfd *fds, unsigned nr, int most_ms)
{
	uint32_t ms = most_ms < 0 ? UINT32_MAX : (uint32_t)most_ms;
	int err;

	memcpy(n->polls, fds, nr * sizeof(*fds));
	n->nr_polls = nr;
	slirp_pollfds_fill(n->slirp, &ms, on_add_poll, n);
	if (!most_ms || n->nr_asked)
		ms = 0;
	err = poll(n->polls, n->nr_polls, ms == UINT32_MAX ? -1 : (int)ms);
	memcpy(fds, n->polls, nr * sizeof(*fds));
	if (err < 0)
		for (unsigned i = 0; i < nr; i++)
			fds[i].revents = 0;
	/* Before packets are sent on: those that wait for it are sent now. */
	for (unsigned i = 0; i < n->nr_asked; i++)
		nat_answer(n, n->asked[i]);
	n->nr_asked = 0;
	slirp_pollfds_poll(n->slirp, err < 0, on_get_revents, n);
	vnet_port_flush(n->port);
}

int nat_publish(struct nat *n, const struct worker_req_net_publish *r)
{
	struct in_addr host, guest;
	int err;

	memcpy(&host, r->host_ip, sizeof(host));
	memcpy(&guest, r->guest_ip, sizeof(guest));
	errno = 0;
	if (r->on)
		err = slirp_add_hostfwd(n->slirp, (int)r->udp, host,
					r->host_port, guest, r->guest_port);
	else
		err = slirp_remove_hostfwd(n->slirp, (int)r->udp, host,
					   r->host_port);
	return err < 0 ? -(errno ? errno : EADDRINUSE) : 0;
}
