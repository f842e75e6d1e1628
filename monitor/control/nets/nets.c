/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/nets/nets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "disco/clock.h"
#include "monitor/control/nets/nets_internal.h"
#include "monitor/control/nets/net_tap.h"
#include "monitor/ipc/fds.h"
#include "monitor/ipc/worker_messages.h"
#include "numa/channel.h"
#include "numa/region.h"
#include "vnet/port.h"

#define GEN_UNIT_NS 100000000ull
/*
 * Uplinks and trunks of an earlier monitor are in no record: so many of them may
 * have got a generation after the last VM's.
 */
#define GEN_UPLINKS 4096u
#define SUBNETS	    65536u
#define SUBNET_BITS 24u

/* --- networks --- */

static struct network *network_find(const struct nets *n, const char *name)
{
	struct network *net = n->list;

	while (net && strcmp(net->name, name) != 0)
		net = net->next;
	return net;
}

static bool subnet_taken(const struct nets *n, const uint8_t subnet[4])
{
	for (const struct network *net = n->list; net; net = net->next)
		if (net_plan_has(&net->plan, subnet))
			return true;
	return false;
}

/* By the name, so that a network has the same one each time if it can. */
static void pick_subnet(const struct nets *n, struct network *net)
{
	uint32_t h = 2166136261u; /* FNV-1a */
	uint8_t subnet[4] = { 10, 0, 0, 0 };

	for (const char *s = net->name; *s; s++)
		h = (h ^ (uint8_t)*s) * 16777619u;
	h ^= h >> 16;
	for (unsigned i = 0; i < SUBNETS; i++, h++) {
		subnet[1] = (uint8_t)(h >> 8);
		subnet[2] = (uint8_t)h;
		if (!subnet_taken(n, subnet))
			break;
	}
	net_plan_set(&net->plan, subnet, SUBNET_BITS);
}

static struct network *network_make(struct nets *n, const char *name)
{
	struct network *net = calloc(1, sizeof(*net));

	if (!net)
		return NULL;
	(void)snprintf(net->name, sizeof(net->name), "%s", name);
	/* Any subnet holds the address 0 of one that has none. */
	net->plan.bits = 32;
	pick_subnet(n, net);
	net->nets = n;
	net->uplink.net = net;
	net->trunk.net = net;
	net->trunk.trunk = true;
	net->uplink.control = net->trunk.control = -1;
	net->next = n->list;
	n->list = net;
	return net;
}

static void network_free(struct nets *n, struct network *net)
{
	struct network **at = &n->list;

	while (*at != net)
		at = &(*at)->next;
	*at = net->next;
	free(net);
}

/* Of those without ports some are kept, for their plan; new ones come first. */
static void networks_sweep(struct nets *n, unsigned keep)
{
	for (struct network *net = n->list, *next; net; net = next) {
		next = net->next;
		if (net->ports)
			continue;
		if (keep)
			keep--;
		else
			network_free(n, net);
	}
}

static void nets_on_sweep(struct loop_timer *t)
{
	networks_sweep(container_of(t, struct nets, sweep), NETS_EMPTY_MAX);
}

/*
 * Not now: an event of a network's uplink may be among those that this turn of the
 * loop has still to handle, and its watch is in the network.
 */
static void nets_sweep_soon(struct nets *n)
{
	if (n->loop)
		loop_timer_set(n->loop, &n->sweep, clock_now_ns());
	else
		networks_sweep(n, NETS_EMPTY_MAX);
}

static struct net_port *port_at(const struct network *net, uint32_t slot)
{
	struct net_port *p = net->ports;

	while (p && p->slot != slot)
		p = p->next;
	return p;
}

/* --- what workers know --- */

void nets_retry_in(struct nets *n, uint64_t ns)
{
	uint64_t at_ns = clock_now_ns() + ns;

	if (n->loop && (!n->retry.at_ns || at_ns < n->retry.at_ns))
		loop_timer_set(n->loop, &n->retry, at_ns);
}

static bool port_runs(const struct net_port *p)
{
	return p->vm || (p->uplink && p->uplink->control >= 0);
}

/* Does @to get to know @p? */
static bool port_knows(const struct net_port *to, const struct net_port *p)
{
	if (!p || p == to || !port_runs(p))
		return false;
	if (p->uplink && to->uplink)
		return false;
	return net_port_has(p, to->uplink) && net_port_has(to, p->uplink);
}

int net_port_send(const struct net_port *to, struct worker_request *r,
		  const int *fds)
{
	return to->vm ? vm_watch_send(to->vm, r, fds)
		      : worker_request_send(to->uplink->control, r, fds,
					    MSG_DONTWAIT);
}

static int send_port(struct net_port *to, const struct net_port *p)
{
	const int fds[] = { p->reader, p->wake_tx };
	struct worker_request r = {
		.kind = WORKER_REQ_NET_PORT,
		.net_port = { .net = to->index, .slot = p->slot, .gen = p->gen }
	};

	memcpy(r.net_port.mac, p->station.mac, sizeof(r.net_port.mac));
	memcpy(r.net_port.ip, p->station.ip, sizeof(r.net_port.ip));
	memcpy(r.net_port.name, p->station.name, sizeof(r.net_port.name));
	r.net_port.shares = *p->shares && !strcmp(p->shares, to->shares);
	r.net_port.routed4 = p->routed4;
	return net_port_send(to, &r, fds);
}

static int send_port_end(struct net_port *to, uint32_t slot)
{
	struct worker_request r = { .kind = WORKER_REQ_NET_PORT_END,
				    .net_port_end = { .net = to->index,
						      .slot = slot } };

	return net_port_send(to, &r, NULL);
}

/* Return: 0; -EAGAIN: not all could be sent now. */
static int port_update(struct net_port *to)
{
	for (uint32_t slot = 0; slot < VNET_PORTS_MAX; slot++) {
		const struct net_port *p = port_at(to->net, slot);
		uint32_t gen = port_knows(to, p) ? p->gen : 0;
		int err;

		if (to->known[slot] == gen)
			continue;
		err = gen ? send_port(to, p) : send_port_end(to, slot);
		if (err == -EAGAIN)
			return err;
		/* It is dead, or we have no memory: that is seen elsewhere. */
		to->known[slot] = gen;
	}
	return 0;
}

void network_update(struct network *net)
{
	network_uplink(net);
	for (struct net_port *p = net->ports; p; p = p->next)
		if (port_runs(p) && port_update(p) == -EAGAIN)
			nets_retry_in(p->nets, NETS_RETRY_NS);
	network_publish(net);
}

static void nets_on_retry(struct loop_timer *t)
{
	nets_update(container_of(t, struct nets, retry));
}

/* --- ports --- */

void net_port_free(struct net_port *p)
{
	fds_drop(&p->region);
	fds_drop(&p->reader);
	fds_drop(&p->wake_rx);
	fds_drop(&p->wake_tx);
	free(p->publish);
	free(p);
}

int net_port_insert(struct network *net, struct net_port *p)
{
	struct net_port **at = &net->ports;

	while (*at && (*at)->slot < p->slot)
		at = &(*at)->next;
	if (*at && (*at)->slot == p->slot)
		return -EEXIST;
	p->net = net;
	p->next = *at;
	*at = p;
	net->by_slot[p->slot] = p;
	return 0;
}

struct net_port *net_port_new(struct nets *n, const char *name, unsigned index)
{
	struct net_port *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->nets = n;
	p->index = index;
	p->region = p->reader = p->wake_rx = p->wake_tx = -1;
	(void)snprintf(p->station.name, sizeof(p->station.name), "%s", name);
	return p;
}

int net_port_open(struct net_port *p)
{
	/* Its pages come to the node of the worker, which touches them first. */
	int err = region_prepare_pair("disco-net", sizeof(struct vnet_shared),
				      NODE_AUTO, &p->region, &p->reader);

	return err ? err : chan_wake_create(&p->wake_tx, &p->wake_rx);
}

uint32_t nets_next_gen(struct nets *n)
{
	uint32_t now = (uint32_t)(clock_now_ns() / GEN_UNIT_NS);

	n->last_gen = now > n->last_gen ? now : n->last_gen + 1;
	return n->last_gen;
}

void net_port_unlink(struct net_port *p)
{
	struct net_port **at = &p->net->ports;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	p->net->by_slot[p->slot] = NULL;
}

const char *net_port_peer_name(const struct net_port *p, uint32_t slot,
			       uint32_t gen)
{
	const struct net_port *q;

	if (!p || !p->net || slot >= VNET_PORTS_MAX)
		return NULL;
	q = p->net->by_slot[slot];
	if (!q || q->gen != gen)
		return NULL;
	if (q->uplink)
		return q->uplink->trunk ? "(trunk)" : "(uplink)";
	return q->station.name;
}

void net_port_default_mac(struct vnet_station *s)
{
	s->mac[0] = 0x02; /* locally administered; as vnet_mac_of_ip() */
	s->mac[1] = 0xd1;
	memcpy(s->mac + 2, s->ip, sizeof(s->ip));
}

static bool mac_taken(const struct network *net, const uint8_t *mac)
{
	for (const struct net_port *p = net->ports; p; p = p->next)
		if (memcmp(p->station.mac, mac, VNET_MAC_BYTES) == 0)
			return true;
	return false;
}

static bool slot_used(const void *net, uint32_t slot)
{
	return port_at(net, slot) != NULL;
}

static bool ip_used(const void *arg, const uint8_t ip[4])
{
	const struct network *net = arg;

	for (const struct net_port *p = net->ports; p; p = p->next)
		if (memcmp(p->station.ip, ip, 4) == 0)
			return true;
	return false;
}

/* The operator's subnet, if there is one: the same for all VMs. */
static int network_subnet(struct network *net, const struct net_config *c,
			  const char *vm, struct diag *d)
{
	char text[NET_TEXT_MAX];
	uint8_t subnet[4];
	unsigned bits;

	if (!c->subnet)
		return 0;
	if (!net_subnet_parse(c->subnet, subnet, &bits))
		return diag_fail(d, ST_CONFIG, EINVAL,
				 "%s: '%s' is no subnet, as 10.1.0.0/24", vm,
				 c->subnet);
	if (net->ports && (bits != net->plan.bits ||
			   memcmp(subnet, net->plan.subnet, 4) != 0))
		return diag_fail(d, ST_CONFIG, EEXIST,
				 "%s: network '%s' has VMs, with %s, not %s",
				 vm, net->name,
				 net_subnet_text(&net->plan, text), c->subnet);
	net_plan_set(&net->plan, subnet, bits);
	return 0;
}

/* Whether its plan is strict: the same for all VMs, too. */
static int network_planned(struct network *net, const struct net_config *c,
			   const char *vm, struct diag *d)
{
	if (!net->ports)
		net->plan.planned = c->planned;
	if (!c->planned || net->plan.planned)
		return 0;
	return diag_fail(d, ST_CONFIG, EEXIST,
			 "%s: network '%s' has VMs without addresses=planned",
			 vm, net->name);
}

static int address_fail(const struct network *net, const char *vm,
			const char *ip, int err, struct diag *d)
{
	char text[NET_TEXT_MAX];

	if (err == -ENOSPC)
		return diag_fail(d, ST_CONFIG, ENOSPC,
				 "%s: network '%s' (%s) has no address left",
				 vm, net->name,
				 net_subnet_text(&net->plan, text));
	if (err == -EEXIST)
		return diag_fail(d, ST_CONFIG, EEXIST,
				 "%s: network '%s' has a VM with the address "
				 "%s already",
				 vm, net->name, ip);
	return diag_fail(d, ST_CONFIG, EINVAL,
			 "%s: '%s' is no address of a VM in network '%s' (%s)",
			 vm, ip, net->name, net_subnet_text(&net->plan, text));
}

static int port_address(struct network *net, const struct net_config *c,
			struct net_port *p, struct diag *d)
{
	const struct net_used used = { slot_used, ip_used, net };
	struct vnet_station *s = &p->station;
	uint8_t want[4];
	int err = network_subnet(net, c, s->name, d);

	if (!err)
		err = network_planned(net, c, s->name, d);
	if (err)
		return err;
	p->planned = net->plan.planned || c->tap;
	if (c->ip && !net_ip_parse(c->ip, want))
		return address_fail(net, s->name, c->ip, -ERANGE, d);
	err = net_plan_pick(&net->plan, s->name, c->ip ? want : NULL, &used,
			    &p->slot, s->ip);
	if (err)
		return address_fail(net, s->name, c->ip, err, d);
	net_port_default_mac(s);
	if (c->mac && !net_mac_parse(c->mac, s->mac))
		return diag_fail(d, ST_CONFIG, EINVAL,
				 "%s: '%s' is no MAC address of a station",
				 s->name, c->mac);
	if (mac_taken(net, s->mac))
		return diag_fail(d, ST_CONFIG, EEXIST,
				 "%s: network '%s' has a VM with the MAC "
				 "address %s already",
				 s->name, net->name, c->mac ? c->mac : "");
	return 0;
}

static int port_uplink(struct net_port *p, const struct vm_config *vm,
		       struct diag *d)
{
	const char *text = p->index == 0 ? vm->publish : NULL;
	struct net_publish one = { .ip6 = false };
	bool ip6 = false;
	int n = 1;

	p->routed = vm->nets[p->index].uplink || text;
	p->routed4 = vm->nets[p->index].no_ip6;
	if (!text)
		return 0;
	for (; n > 0; n = net_publish_next(&text, &one))
		ip6 = ip6 || one.ip6;
	if (n)
		return diag_fail(d, ST_CONFIG, EINVAL,
				 "%s: '%s' is no list of ports, as 2222:22, "
				 "0.0.0.0:53:53/udp or [::1]:2222:22",
				 vm->name, vm->publish);
	if (ip6 && p->routed4)
		return diag_fail(d, ST_CONFIG, EINVAL,
				 "%s: '%s' has an IPv6 address, and network "
				 "'%s' is with ipv6=off",
				 vm->name, vm->publish,
				 vm->nets[p->index].name);
	p->publish = strdup(vm->publish);
	return p->publish ? 0 : diag_fail(d, ST_HOST, ENOMEM, "out of memory");
}

/*
 * The trunk of the network, that of its other VMs, and of no other network;
 * whether it can be used.
 */
static int port_tap(const struct network *net, const struct net_config *c,
		    struct net_port *p, struct diag *d)
{
	const char *other = network_tap(net);
	const struct network *its;
	int fd, err;

	if (!c->tap)
		return 0;
	its = nets_with_tap(p->nets, c->tap);
	if (its && its != net)
		return diag_fail(d, ST_CONFIG, EEXIST,
				 "%s: the tap device '%s' is that of network "
				 "'%s'; give network '%s' one of its own",
				 p->station.name, c->tap, its->name, net->name);
	if (other && strcmp(other, c->tap) != 0)
		return diag_fail(d, ST_CONFIG, EEXIST,
				 "%s: network '%s' has VMs with the tap device "
				 "'%s', not '%s'",
				 p->station.name, net->name, other, c->tap);
	(void)snprintf(p->tap, sizeof(p->tap), "%s", c->tap);
	if (other)
		return 0;
	err = net_tap_open(c->tap, &fd);
	if (!err)
		(void)close(fd);
	else if (err != -EBUSY)
		return diag_fail(d,
				 err == -ENODEV || err == -EINVAL ? ST_CONFIG
								  : ST_HOST,
				 -err, "%s: tap device '%s': %s",
				 p->station.name, c->tap, net_tap_error(err));
	return 0;
}

static int port_reserve(struct nets *n, const struct vm_config *vm,
			unsigned index, struct net_port **out, struct diag *d)
{
	const struct net_config *c = &vm->nets[index];
	struct network *net = network_find(n, c->name);
	struct net_port *p = net_port_new(n, vm->name, index);
	int err;

	if (!net)
		net = network_make(n, c->name);
	if (!net || !p) {
		free(p);
		return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	}
	err = port_address(net, c, p, d);
	if (!err)
		err = port_uplink(p, vm, d);
	if (!err)
		err = port_tap(net, c, p, d);
	if (err)
		goto fail;
	err = net_port_open(p);
	if (err) {
		err = diag_fail(d, ST_HOST, -err,
				"%s: no memory or descriptors for network "
				"'%s': %s",
				vm->name, c->name, strerror(-err));
		goto fail;
	}
	if (vm->merge)
		(void)snprintf(p->shares, sizeof(p->shares), "%s",
			       vm->group ? vm->group : GROUP_DEFAULT);
	p->gen = nets_next_gen(n);
	(void)!net_port_insert(net, p); /* its slot is free */
	net_plan_remember(&net->plan, p->slot, vm->name, p->station.ip);
	*out = p;
	return 0;
fail:
	net_port_free(p);
	nets_sweep_soon(n);
	return err;
}

static void ports_clear(struct net_port *ports[VM_MAX_NETS])
{
	for (unsigned i = 0; i < VM_MAX_NETS; i++)
		ports[i] = NULL;
}

int nets_reserve(struct nets *n, const struct vm_config *vm,
		 struct net_port *ports[VM_MAX_NETS], struct diag *d)
{
	ports_clear(ports);
	if (vm->publish && !vm->nr_nets)
		return diag_fail(d, ST_CONFIG, EINVAL,
				 "%s: 'publish' needs a network: add 'net'",
				 vm->name);
	for (unsigned i = 0; i < vm->nr_nets; i++) {
		int err = port_reserve(n, vm, i, &ports[i], d);

		if (err) {
			nets_release(ports);
			return err;
		}
	}
	return 0;
}

static void port_release(struct net_port *p)
{
	struct network *net = p->net;

	network_publish_end(p);
	net_port_unlink(p);
	p->vm = NULL;
	network_update(net);
	net_port_free(p);
	nets_sweep_soon(net->nets);
}

void nets_release(struct net_port *ports[VM_MAX_NETS])
{
	for (unsigned i = 0; i < VM_MAX_NETS; i++) {
		if (ports[i])
			port_release(ports[i]);
		ports[i] = NULL;
	}
}

void nets_attach(struct net_port *ports[VM_MAX_NETS], struct vm_watch *vm)
{
	for (unsigned i = 0; i < VM_MAX_NETS && ports[i]; i++) {
		struct net_port *p = ports[i];

		/* The worker has them now. */
		fds_drop(&p->region);
		fds_drop(&p->wake_rx);
		p->nets->loop = &vm->watcher->loop;
		p->nets->err = &vm->watcher->err;
		p->vm = vm;
	}
}

void nets_update(struct nets *n)
{
	for (struct network *net = n->list; net; net = net->next)
		network_update(net);
}

void nets_detach_all(struct nets *n)
{
	if (!n || !n->loop)
		return;
	loop_timer_cancel(n->loop, &n->retry);
	loop_timer_cancel(n->loop, &n->sweep);
	for (struct network *net = n->list; net; net = net->next)
		network_uplink_stop(net);
	n->loop = NULL;
	for (struct network *net = n->list; net; net = net->next)
		for (struct net_port *p = net->ports; p; p = p->next)
			p->vm = NULL;
}

void net_port_spec(const struct net_port *p, struct worker_net *out)
{
	*out = (struct worker_net){ .slot = p->slot, .gen = p->gen };
	memcpy(out->net, p->net->name, sizeof(out->net));
	memcpy(out->mac, p->station.mac, sizeof(out->mac));
	memcpy(out->ip, p->station.ip, sizeof(out->ip));
	net_plan_server(&p->net->plan, out->server);
	out->bits = p->net->plan.bits;
	out->routed = p->routed;
	out->routed4 = p->routed4;
	out->planned6 = p->planned;
}

unsigned nets_descriptors(struct net_port *const ports[VM_MAX_NETS], int *out)
{
	unsigned n = 0;

	for (unsigned i = 0; i < VM_MAX_NETS && ports[i]; i++) {
		out[n++] = ports[i]->region;
		out[n++] = ports[i]->wake_rx;
		out[n++] = ports[i]->wake_tx;
	}
	return n;
}

/* --- the next monitor --- */

void nets_record(struct net_port *const ports[VM_MAX_NETS], struct vm_record *r)
{
	r->nr_nets = 0;
	(void)snprintf(r->publish, sizeof(r->publish), "%s",
		       ports[0] && ports[0]->publish ? ports[0]->publish : "");
	for (unsigned i = 0; i < VM_MAX_NETS && ports[i]; i++) {
		memcpy(r->taps[i], ports[i]->tap, sizeof(r->taps[i]));
		net_port_spec(ports[i], &r->nets[r->nr_nets++]);
	}
}

static int port_take_over(struct net_port *p, const struct vm_record *r,
			  int pidfd)
{
	const struct worker_net *w = &r->nets[p->index];
	int first = r->net_fd + (int)(WORKER_NET_FDS * p->index), fd, err;

	p->slot = w->slot;
	p->gen = w->gen;
	memcpy(p->station.mac, w->mac, sizeof(w->mac));
	memcpy(p->station.ip, w->ip, sizeof(w->ip));
	p->routed = w->routed;
	p->routed4 = w->routed4;
	p->planned = w->planned6;
	memcpy(p->tap, r->taps[p->index], sizeof(p->tap));
	if (p->index == 0 && *r->publish)
		p->publish = strdup(r->publish);
	for (unsigned i = 0; i < VNET_PORTS_MAX; i++)
		p->known[i] = NET_UNKNOWN;
	p->known[p->slot] = 0;
	fd = pidfd_getfd(pidfd, first + WORKER_NET_REGION, 0);
	if (fd < 0)
		return -errno;
	err = region_reader_fd(fd, &p->reader);
	(void)close(fd);
	if (err)
		return err;
	p->wake_tx = pidfd_getfd(pidfd, first + WORKER_NET_WAKER, 0);
	return p->wake_tx < 0 ? -errno : 0;
}

/* The plan of a network of an earlier monitor. */
static void network_learn(struct network *net, const struct worker_net *w)
{
	uint8_t subnet[4];

	vnet_put_ip4(subnet, vnet_ip4(w->server) & vnet_mask(w->bits));
	if (!net->ports)
		net_plan_set(&net->plan, subnet, w->bits);
}

void nets_remember(struct nets *n, const struct vm_record *r)
{
	for (unsigned i = 0; i < r->nr_nets; i++) {
		const struct worker_net *w = &r->nets[i];
		struct network *net = network_find(n, w->net);
		bool known = net != NULL;

		if (!net)
			net = network_make(n, w->net);
		if (!net)
			return;
		if (!known)
			network_learn(net, w);
		if (w->slot < NET_STATIONS_MAX &&
		    net_plan_has(&net->plan, w->ip))
			net_plan_remember(&net->plan, w->slot, r->name, w->ip);
	}
	nets_sweep_soon(n);
}

static int port_adopt(struct nets *n, const struct vm_record *r, unsigned index,
		      int pidfd, struct net_port **out)
{
	const struct worker_net *w = &r->nets[index];
	struct network *net = network_find(n, w->net);
	struct net_port *p = net_port_new(n, r->name, index);
	int err = -ENOMEM;

	if (!net)
		net = network_make(n, w->net);
	if (!net || !p)
		goto fail;
	network_learn(net, w);
	err = port_take_over(p, r, pidfd);
	if (!err &&
	    (net->plan.bits != w->bits || !net_plan_has(&net->plan, w->ip)))
		err = -EINVAL;
	if (!err)
		err = net_port_insert(net, p);
	if (err)
		goto fail;
	net_plan_remember(&net->plan, w->slot, r->name, w->ip);
	net->plan.planned = net->plan.planned || (p->planned && !p->tap[0]);
	if (p->gen + GEN_UPLINKS > n->last_gen)
		n->last_gen = p->gen + GEN_UPLINKS;
	*out = p;
	return 0;
fail:
	if (p)
		net_port_free(p);
	nets_sweep_soon(n);
	return err;
}

int nets_adopt(struct nets *n, const struct vm_record *r, int pidfd,
	       struct net_port *ports[VM_MAX_NETS])
{
	ports_clear(ports);
	for (unsigned i = 0; i < r->nr_nets; i++) {
		int err = port_adopt(n, r, i, pidfd, &ports[i]);

		if (err) {
			nets_release(ports);
			return err;
		}
	}
	return 0;
}

/* --- all of them --- */

void nets_each(const struct nets *n,
	       void (*each)(void *arg, const char *net,
			    const struct net_plan *plan,
			    const struct net_port *p),
	       void *arg)
{
	for (const struct network *net = n->list; net; net = net->next)
		for (const struct net_port *p = net->ports; p && !p->uplink;
		     p = p->next)
			each(arg, net->name, &net->plan, p);
}

int nets_create(struct nets **out)
{
	struct nets *n = calloc(1, sizeof(*n));

	if (!n)
		return -ENOMEM;
	n->retry.expired = nets_on_retry;
	n->sweep.expired = nets_on_sweep;
	*out = n;
	return 0;
}

void nets_destroy(struct nets *n)
{
	nets_detach_all(n);
	if (n)
		networks_sweep(n, 0);
	free(n);
}
