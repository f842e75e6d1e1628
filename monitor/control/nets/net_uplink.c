/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "disco/clock.h"
#include "monitor/control/nets/nets_internal.h"
#include "monitor/control/nets/uplink_start.h"
#include "monitor/ipc/fds.h"

#define UPLINK_SLOT	NET_STATIONS_MAX /* after those of VMs */
#define UPLINK_AGAIN_NS 1000000000ull

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

static void uplink_fail(struct uplink *u, int err)
{
	struct nets *n = u->net->nets;

	if (!u->reported && n->err)
		sink_line(n->err, "disco: network '%s' has no uplink: %s",
			  u->net->name,
			  err == -ENOENT ? "disco-uplink is not installed"
					 : strerror(-err));
	u->reported = true;
}

/* It says nothing: it has died. */
static void uplink_on_event(struct loop_watch *w, uint32_t events)
{
	struct uplink *u = container_of(w, struct uplink, watch);
	struct nets *n = u->net->nets;
	char byte;

	(void)events;
	if (recv(w->fd, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN)
		return;
	if (!u->reported && n->err)
		sink_line(n->err, "disco: the uplink of network '%s' has died",
			  u->net->name);
	u->reported = true;
	uplink_stop(u);
	u->died_ns = clock_now_ns();
	network_update(u->net);
}

static int uplink_make_port(struct network *net)
{
	struct net_port *p = net_port_new(net->nets, "", 0);
	int err = p ? net_port_open(p) : -ENOMEM;

	if (err) {
		if (p)
			net_port_free(p);
		return err;
	}
	p->slot = UPLINK_SLOT;
	p->gen = nets_next_gen(net->nets);
	p->routed = true;
	p->uplink = &net->uplink;
	net_plan_server(&net->plan, p->station.ip);
	net_port_default_mac(&p->station);
	(void)!net_port_insert(net, p);
	net->uplink.port = p;
	return 0;
}

static int uplink_begin(struct uplink *u)
{
	struct worker_net spec;
	struct net_port *p;
	int err = uplink_make_port(u->net);
	pid_t pid;

	if (err)
		return err;
	p = u->port;
	net_port_spec(p, &spec);
	err = uplink_start(&spec, p->region, p->wake_rx, &u->control, &pid);
	if (err) {
		uplink_stop(u);
		return err;
	}
	fds_drop(&p->region);
	fds_drop(&p->wake_rx);
	u->watch = (struct loop_watch){ .fd = u->control,
					.ready = uplink_on_event };
	loop_want(u->net->nets->loop, &u->watch, EPOLLIN);
	return 0;
}

void network_uplink(struct network *net)
{
	struct uplink *u = &net->uplink;
	uint64_t now = clock_now_ns();
	bool wanted = false;
	int err;

	for (const struct net_port *p = net->ports; p; p = p->next)
		wanted = wanted || (p->vm && p->routed);
	if (!wanted) {
		uplink_stop(u);
		return;
	}
	if (u->port || !net->nets->loop)
		return;
	if (u->died_ns && now - u->died_ns < UPLINK_AGAIN_NS) {
		nets_retry_in(net->nets, UPLINK_AGAIN_NS);
		return;
	}
	err = uplink_begin(u);
	if (!err)
		return;
	uplink_fail(u, err);
	u->died_ns = now;
}

void network_uplink_stop(struct network *net)
{
	uplink_stop(&net->uplink);
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
					 .host_port = one.host_port,
					 .guest_port = one.guest_port }
		};

		memcpy(r.net_publish.host_ip, one.host_ip, 4);
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
