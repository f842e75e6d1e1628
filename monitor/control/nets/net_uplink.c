/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "disco/clock.h"
#include "monitor/control/nets/nets_internal.h"
#include "monitor/control/nets/net_tap.h"
#include "monitor/control/nets/uplink_start.h"
#include "monitor/ipc/fds.h"
#include "vnet/port.h"

#define UPLINK_SLOT	NET_STATIONS_MAX /* after those of VMs */
#define UPLINK_AGAIN_NS 1000000000ull
#define BUSY_NS		5000000000ull /* an earlier trunk has ended by then */
/* One that dies before that is reported again after QUIET_NS only. */
#define UPLINK_LIVES_NS 10000000000ull
#define QUIET_NS	60000000000ull

_Static_assert(VNET_SLOT_TRUNK > UPLINK_SLOT &&
		       VNET_SLOT_TRUNK < VNET_PORTS_MAX,
	       "no VM's, and not the uplink's");

bool net_port_has(const struct net_port *p, const struct uplink *u)
{
	if (!u)
		return true;
	return u->trunk ? p->tap[0] != '\0' : p->routed;
}

const char *network_tap(const struct network *net)
{
	for (const struct net_port *p = net->ports; p; p = p->next)
		if (p->tap[0])
			return p->tap;
	return NULL;
}

const struct network *nets_with_tap(const struct nets *n, const char *tap)
{
	for (const struct network *net = n->list; net; net = net->next) {
		const char *its = network_tap(net);

		if (its && strcmp(its, tap) == 0)
			return net;
	}
	return NULL;
}

/* Its process ends when it finds its socket closed. */
static void uplink_stop(struct uplink *u)
{
	if (!u->port)
		return;
	if (u->control >= 0 && u->net->nets->loop)
		loop_want(u->net->nets->loop, &u->watch, 0);
	fds_drop(&u->control);
	net_port_unlink(u->port);
	net_port_free(u->port);
	u->port = NULL;
}

/* @text, with the names of network and device, once until it is back. */
static void uplink_report(struct uplink *u, const char *text)
{
	struct nets *n = u->net->nets;

	if (u->reported || !n->err)
		return;
	if (u->trunk)
		sink_line(n->err, "disco: network '%s': tap device '%s': %s",
			  u->net->name, network_tap(u->net), text);
	else
		sink_line(n->err, "disco: network '%s': uplink: %s",
			  u->net->name, text);
	u->reported = true;
}

/* Its process could not be started: reported also if it was one that has died. */
static int uplink_fail(struct uplink *u, int err)
{
	u->reported = u->reported && u->failed;
	u->failed = true;
	uplink_report(u, err == -ENOENT ? "disco-uplink is not installed"
					: strerror(-err));
	return err;
}

/* Its device could not be opened. */
static int trunk_fail(struct uplink *u, int err)
{
	uint64_t now = clock_now_ns();

	if (err == -EBUSY) {
		u->busy_ns = u->busy_ns ? u->busy_ns : now;
		if (now - u->busy_ns < BUSY_NS)
			return err;
	}
	uplink_report(u, net_tap_error(err));
	return err;
}

/* It has died: once if it does so again and again, as where a library is missing. */
static void uplink_report_death(struct uplink *u)
{
	uint64_t now = clock_now_ns();

	if (u->told_ns && now - u->told_ns < QUIET_NS &&
	    now - u->begun_ns < UPLINK_LIVES_NS)
		return;
	u->told_ns = now;
	uplink_report(u, u->trunk ? "its process has died, and is started again"
				  : "it has died, and is started again");
}

/* It says that its device is gone; or nothing: it has died. */
static void uplink_on_event(struct loop_watch *w, uint32_t events)
{
	struct uplink *u = container_of(w, struct uplink, watch);
	uint8_t byte = 0;
	ssize_t n = recv(w->fd, &byte, sizeof(byte), MSG_DONTWAIT);

	(void)events;
	if (n < 0 && errno == EAGAIN)
		return;
	if (u->trunk && n > 0 && byte == UPLINK_TAP_GONE)
		uplink_report(u, "it is gone; nothing goes there until it is "
				 "back");
	else
		uplink_report_death(u);
	uplink_stop(u);
	u->died_ns = clock_now_ns();
	network_update(u->net);
}

static int uplink_make_port(struct uplink *u)
{
	struct network *net = u->net;
	struct net_port *p = net_port_new(net->nets, "", 0);
	int err = p ? net_port_open(p) : -ENOMEM;

	if (err) {
		if (p)
			net_port_free(p);
		return err;
	}
	p->slot = u->trunk ? VNET_SLOT_TRUNK : UPLINK_SLOT;
	p->gen = nets_next_gen(net->nets);
	p->uplink = u;
	/* A trunk is no station: 0.0.0.0. */
	p->routed = !u->trunk;
	p->planned = net->plan.planned;
	if (!u->trunk)
		net_plan_server(&net->plan, p->station.ip);
	net_port_default_mac(&p->station);
	(void)!net_port_insert(net, p);
	u->port = p;
	return 0;
}

/* @tap: of net_tap_open(), not owned; -1: it is no trunk. */
static int uplink_begin(struct uplink *u, int tap)
{
	struct worker_net spec;
	struct net_port *p;
	int err = uplink_make_port(u);
	pid_t pid;

	if (err)
		return uplink_fail(u, err);
	p = u->port;
	net_port_spec(p, &spec);
	err = uplink_start(&spec, p->region, p->wake_rx, tap, &u->control,
			   &pid);
	if (err) {
		uplink_stop(u);
		return uplink_fail(u, err);
	}
	fds_drop(&p->region);
	fds_drop(&p->wake_rx);
	u->watch = (struct loop_watch){ .fd = u->control,
					.ready = uplink_on_event };
	loop_want(u->net->nets->loop, &u->watch, EPOLLIN);
	return 0;
}

static int trunk_begin(struct uplink *u)
{
	int tap, err = net_tap_open(network_tap(u->net), &tap);

	if (err)
		return trunk_fail(u, err);
	err = uplink_begin(u, tap);
	(void)close(tap);
	if (err)
		return err;
	if (u->reported && u->net->nets->err)
		sink_line(u->net->nets->err,
			  "disco: network '%s': tap device '%s': it is back",
			  u->net->name, network_tap(u->net));
	u->busy_ns = 0;
	return 0;
}

static void uplink_update(struct uplink *u)
{
	struct nets *n = u->net->nets;
	uint64_t now = clock_now_ns();
	bool wanted = false;
	int err;

	for (const struct net_port *p = u->net->ports; p; p = p->next)
		wanted = wanted || (p->vm && net_port_has(p, u));
	if (!wanted) {
		uplink_stop(u);
		u->reported = u->failed = false;
		u->busy_ns = 0;
		return;
	}
	if (u->port || !n->loop)
		return;
	if (u->died_ns && now - u->died_ns < UPLINK_AGAIN_NS) {
		nets_retry_in(n, UPLINK_AGAIN_NS - (now - u->died_ns));
		return;
	}
	err = u->trunk ? trunk_begin(u) : uplink_begin(u, -1);
	if (!err) {
		u->reported = u->failed = false;
		u->begun_ns = clock_now_ns();
		return;
	}
	u->died_ns = now;
	nets_retry_in(n, UPLINK_AGAIN_NS);
}

void network_uplink(struct network *net)
{
	uplink_update(&net->uplink);
	uplink_update(&net->trunk);
}

void network_uplink_stop(struct network *net)
{
	uplink_stop(&net->uplink);
	uplink_stop(&net->trunk);
}

/* --- published ports --- */

/* Return: 0; -EAGAIN the uplink does not read now. */
static int port_publish(const struct net_port *p, bool on)
{
	const struct net_port *to = p->net->uplink.port;
	const char *text = p->publish;
	struct net_publish one;

	while (net_publish_next(&text, &one) > 0) {
		struct worker_request r = {
			.kind = WORKER_REQ_NET_PUBLISH,
			.net_publish = { .on = on,
					 .udp = one.udp,
					 .ip6 = one.ip6,
					 .host_port = one.host_port,
					 .guest_port = one.guest_port }
		};

		memcpy(r.net_publish.host_ip, one.host_ip,
		       sizeof(r.net_publish.host_ip));
		memcpy(r.net_publish.guest_ip, p->station.ip, 4);
		if (net_port_send(to, &r, NULL) == -EAGAIN)
			return -EAGAIN;
	}
	return 0;
}

void network_publish(struct network *net)
{
	const struct net_port *to = net->uplink.port;

	if (!to || net->uplink.control < 0)
		return;
	for (struct net_port *p = net->ports; p; p = p->next) {
		if (!p->vm || !p->publish || p->published == to->gen)
			continue;
		if (port_publish(p, true))
			nets_retry_in(net->nets, NETS_RETRY_NS);
		else
			p->published = to->gen;
	}
}

void network_publish_end(const struct net_port *p)
{
	const struct net_port *to = p->net->uplink.port;

	if (p->publish && to && p->published == to->gen)
		(void)!port_publish(p, false);
}
