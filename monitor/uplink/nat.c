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

#include "disco/clock.h"
#include "monitor/uplink/deliver.h"
#include "monitor/uplink/nat6.h"

#define BATCH	  64u
#define POLLS_MAX 4096u
#define MRU	  65521u /* what libslirp takes at most; not checked by it */
#define ARPS	  16u

struct nat {
	struct vnet_port *port;
	struct nat6 *six; /* owned: its IPv6 half */
	Slirp *slirp;
	struct pollfd polls[POLLS_MAX];
	unsigned nr_polls;
	/* Addresses that libslirp has asked for, to be answered in a moment. */
	uint8_t asked[ARPS][4];
	unsigned nr_asked;
	struct knocks knocks;
	uint8_t frame[VNET_FRAME_MAX];
};

/* --- what libslirp calls --- */

static void nat_ask(struct nat *n, const uint8_t *arp, size_t len)
{
	if (len >= ARP_BYTES && vnet_get16(arp + ARP_OP) == ARP_WHO &&
	    n->nr_asked < ARPS)
		memcpy(n->asked[n->nr_asked++], arp + ARP_TPA, 4);
}

/* Connections of the host itself come from the network's own address. */
static void nat_remember(struct nat *n, const uint8_t *ip, uint32_t len)
{
	if (len >= IP4_BYTES + UDP_BYTES && ip[0] == 0x45 &&
	    ip[IP4_PROTO] == PROTO_UDP &&
	    memcmp(ip + IP4_SRC, n->port->plan.server, 4) == 0)
		knocks_note(&n->knocks, ip + IP4_BYTES, ip + IP4_DST, 4);
}

static void nat_send(struct nat *n, const uint8_t *frame, uint32_t len)
{
	if (deliver(n->port, vnet_port_by_mac(n->port, frame), frame, len))
		nat_remember(n, frame + VNET_ETH_BYTES, len - VNET_ETH_BYTES);
}

static ssize_t on_packet(const void *bytes, size_t len, void *nat)
{
	const uint8_t *frame = bytes;
	struct nat *n = nat;

	if (len < VNET_ETH_BYTES || len > VNET_FRAME_MAX)
		return (ssize_t)len;
	switch (vnet_get16(frame + ETH_TYPE)) {
	case ETHERTYPE_ARP:
		nat_ask(n, frame + VNET_ETH_BYTES, len - VNET_ETH_BYTES);
		break;
	case ETHERTYPE_IP6:
		nat6_on_packet(n->six, frame, (uint32_t)len);
		break;
	default:
		nat_send(n, frame, (uint32_t)len);
		break;
	}
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
	int err;

	if (!n)
		return -ENOMEM;
	n->port = port;
	err = nat6_create(port, &n->six);
	if (err)
		goto fail;
	nat6_configure(n->six, &cfg);
	n->slirp = slirp_new(&cfg, &callbacks, n);
	err = -ENOMEM;
	if (!n->slirp)
		goto fail;
	nat6_start(n->six, n->slirp);
	*out = n;
	return 0;

fail:
	nat6_destroy(n->six);
	free(n);
	return err;
}

void nat_destroy(struct nat *n)
{
	if (!n)
		return;
	slirp_cleanup(n->slirp);
	nat6_destroy(n->six);
	free(n);
}

/* --- frames of the network --- */

/* To the network's own address go answers alone. */
static bool nat_answers(const struct nat *n, const uint8_t *ip, uint32_t len)
{
	/* Neither options nor pieces, in which something could be hidden. */
	return ip[0] == 0x45 && !(vnet_get16(ip + IP4_FRAG) & 0x3fff) &&
	       knocks_answer(&n->knocks, ip[IP4_PROTO], ip + IP4_BYTES,
			     len - IP4_BYTES, ip + IP4_SRC, 4);
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
	/* First, as its sender has said where that is written. */
	vnet_csum_complete(&f->hdr, n->frame, f->len);
	if (vnet_get16(n->frame + ETH_TYPE) == ETHERTYPE_IP6) {
		n->port->stats.refused += !nat6_input(n->six, f, n->frame);
		return;
	}
	if (!nat_wants(n, f)) {
		n->port->stats.refused++;
		return;
	}
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
	uint32_t rest_ms = nat6_rest_ms(n->six, clock_now_ns());
	uint32_t ms = most_ms < 0 ? UINT32_MAX : (uint32_t)most_ms;
	int err;

	memcpy(n->polls, fds, nr * sizeof(*fds));
	n->nr_polls = nr;
	slirp_pollfds_fill(n->slirp, &ms, on_add_poll, n);
	if (!most_ms || n->nr_asked)
		ms = 0;
	ms = (uint32_t)min_u64(ms, rest_ms);
	err = poll(n->polls, n->nr_polls, ms == UINT32_MAX ? -1 : (int)ms);
	memcpy(fds, n->polls, nr * sizeof(*fds));
	if (err < 0)
		for (unsigned i = 0; i < nr; i++)
			fds[i].revents = 0;
	/* Before packets are sent on: those that wait for it are sent now. */
	for (unsigned i = 0; i < n->nr_asked; i++)
		nat_answer(n, n->asked[i]);
	n->nr_asked = 0;
	nat6_tend(n->six, clock_now_ns());
	slirp_pollfds_poll(n->slirp, err < 0, on_get_revents, n);
	vnet_port_flush(n->port);
}

int nat_publish(struct nat *n, const struct worker_req_net_publish *r)
{
	struct in_addr host, guest;
	int err;

	if (r->ip6)
		return nat6_publish(n->six, r);
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

void nat_station_added(struct nat *n)
{
	nat6_station_added(n->six, clock_now_ns());
}
