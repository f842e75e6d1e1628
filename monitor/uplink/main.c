/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * disco-uplink: the way out of one network, in a process of its own, because it
 * takes packets of the host's network and of guests apart. It has no capability
 * and no file system, and is in the host's network; or it passes frames between
 * the network and a tap device, and can make no socket at all. Started by
 * control, and ended by the end of its socket. Never started by hand.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "disco/clock.h"
#include "disco/uplink_proto.h"
#include "monitor/ipc/worker_messages.h"
#include "monitor/sandbox/sandbox.h"
#include "monitor/uplink/nat.h"
#include "monitor/uplink/trunk.h"

struct uplink_server {
	struct uplink_spec spec;
	struct vnet_port *port;
	struct nat *nat;     /* NULL: it is a trunk */
	struct trunk *trunk; /* NULL: it is none */
};

static int uplink_load(struct uplink_server *u)
{
	const struct worker_net *w = &u->spec.net;
	ssize_t n = pread(UPLINK_FD_SPEC, &u->spec, sizeof(u->spec), 0);

	if (n != (ssize_t)sizeof(u->spec) || u->spec.magic != UPLINK_MAGIC ||
	    u->spec.size != sizeof(u->spec) || u->spec.trunk > 1 || !w->gen ||
	    !memchr(w->net, '\0', sizeof(w->net)) || w->bits < VNET_BITS_MIN ||
	    w->bits > VNET_BITS_MAX)
		return -EPROTO;
	(void)close(UPLINK_FD_SPEC);
	return 0;
}

static int uplink_open(struct uplink_server *u)
{
	const struct worker_net *w = &u->spec.net;
	/* No station of a trunk has any other address. */
	struct vnet_plan plan = { .bits = w->bits,
				  .planned6 = w->planned6 || u->spec.trunk };
	struct vnet_station own = { .mac = { 0 } };
	int err;

	memcpy(plan.server, w->server, sizeof(plan.server));
	vnet_prefix6(w->net, plan.prefix6);
	memcpy(own.mac, w->mac, sizeof(own.mac));
	memcpy(own.ip, w->ip, sizeof(own.ip));
	err = vnet_port_create(UPLINK_FD_REGION, UPLINK_FD_WAKE, w->slot,
			       w->gen, &own, &plan, &u->port);
	if (err)
		return err;
	return u->spec.trunk ? trunk_create(u->port, UPLINK_FD_TAP, &u->trunk)
			     : nat_create(u->port, &u->nat);
}

static void uplink_add_port(struct uplink_server *u,
			    const struct worker_req_net_port *p,
			    const int fds[2])
{
	struct vnet_station s = { .mac = { 0 } };
	int err;

	memcpy(s.mac, p->mac, sizeof(s.mac));
	memcpy(s.ip, p->ip, sizeof(s.ip));
	memcpy(s.name, p->name, sizeof(s.name));
	s.routed4 = p->routed4;
	err = vnet_port_add(u->port, p->slot, p->gen, &s, fds[0], fds[1]);
	if (err)
		(void)fprintf(stderr, "disco: uplink of %s: no way to %s: %s\n",
			      u->spec.net.net, s.name, strerror(-err));
	else if (u->nat)
		nat_station_added(u->nat);
}

static void uplink_publish(struct uplink_server *u,
			   const struct worker_req_net_publish *r)
{
	int err = nat_publish(u->nat, r);

	if (err && r->on)
		(void)fprintf(stderr,
			      "disco: uplink of %s: cannot publish port %u "
			      "(%s): %s\n",
			      u->spec.net.net, r->host_port,
			      r->udp ? "udp" : "tcp", strerror(-err));
}

/* Return: false: control has gone, or is not to be understood. */
static bool uplink_obey(struct uplink_server *u)
{
	struct worker_request r;
	int fds[FDS_MAX];
	int err = worker_request_receive(UPLINK_FD_CONTROL, &r, fds);

	if (err)
		return err == -EAGAIN;
	switch (r.kind) {
	case WORKER_REQ_NET_PORT:
		uplink_add_port(u, &r.net_port, fds);
		break;
	case WORKER_REQ_NET_PORT_END:
		vnet_port_remove(u->port, r.net_port_end.slot,
				 r.net_port_end.gen);
		break;
	case WORKER_REQ_NET_PUBLISH:
		if (u->nat)
			uplink_publish(u, &r.net_publish);
		break;
	default:
		fds_close(fds, FDS_MAX);
		return false;
	}
	return true;
}

/* How long to wait for what comes; @more: something is there. In ms, -1: for ever. */
static int uplink_rest_ms(struct uplink_server *u, bool more)
{
	uint64_t now, next;

	if (more || !vnet_port_sleep(u->port))
		return 0;
	now = clock_now_ns();
	next = vnet_port_tend(u->port, now);
	return next ? (int)((next - now) / 1000000u) + 1 : -1;
}

static void uplink_serve(struct uplink_server *u)
{
	for (;;) {
		struct pollfd p[] = {
			{ .fd = UPLINK_FD_CONTROL, .events = POLLIN },
			{ .fd = u->port->wake_fd, .events = POLLIN },
		};
		bool more = nat_take_frames(u->nat);

		nat_wait(u->nat, p, ARRAY_SIZE(p), uplink_rest_ms(u, more));
		vnet_port_awake(u->port);
		if (p[0].revents && !uplink_obey(u))
			return;
	}
}

/* Until control has gone, or the device. */
static void uplink_serve_trunk(struct uplink_server *u)
{
	const uint8_t gone = UPLINK_TAP_GONE;

	while (!trunk_is_gone(u->trunk)) {
		struct pollfd p[] = {
			{ .fd = UPLINK_FD_CONTROL, .events = POLLIN },
			{ .fd = u->port->wake_fd, .events = POLLIN },
			{ .fd = UPLINK_FD_TAP, .events = POLLIN },
		};
		bool more = trunk_send_frames(u->trunk);

		more |= trunk_take_frames(u->trunk);
		(void)poll(p, ARRAY_SIZE(p), uplink_rest_ms(u, more));
		vnet_port_awake(u->port);
		if (p[0].revents && !uplink_obey(u))
			return;
	}
	(void)send(UPLINK_FD_CONTROL, &gone, sizeof(gone), MSG_NOSIGNAL);
}

int main(void)
{
	static struct uplink_server u;
	int err;

	(void)prctl(PR_SET_NAME, "disco-uplink", 0, 0, 0);
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	err = uplink_load(&u);
	if (!err)
		err = uplink_open(&u);
	if (!err)
		err = sandbox_drop();
	if (!err)
		err = sandbox_enter(u.trunk ? SANDBOX_TRUNK : SANDBOX_UPLINK);
	if (err) {
		(void)fprintf(stderr, "disco: uplink: %s\n", strerror(-err));
		return EXIT_FAILURE;
	}
	if (u.trunk)
		uplink_serve_trunk(&u);
	else
		uplink_serve(&u);
	_exit(EXIT_SUCCESS);
}
