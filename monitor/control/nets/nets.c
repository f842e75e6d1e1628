/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/nets/nets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "disco/clock.h"
#include "monitor/ipc/fds.h"
#include "numa/channel.h"
#include "numa/region.h"
#include "vnet/port.h"

#define RETRY_NS      50000000ull
#define GEN_UNIT_NS   100000000ull
#define SUBNETS	      65536u
#define FIRST_STATION 2u /* 10.x.y.1 is the network's own */

struct network {
	struct network *next;
	char name[VM_NAME_MAX + 1];
	uint8_t subnet[VNET_SUBNET_BYTES];
	struct net_port *ports; /* by slot */
};

struct nets {
	struct network *list;
	uint32_t last_gen;
	struct loop *loop; /* of the attached VMs; NULL: none is */
	struct loop_timer retry;
};

/* --- addresses as text --- */

const char *net_mac_text(const uint8_t mac[VNET_MAC_BYTES],
			 char buf[NET_TEXT_MAX])
{
	(void)snprintf(buf, NET_TEXT_MAX, "%02x:%02x:%02x:%02x:%02x:%02x",
		       mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
	return buf;
}

const char *net_ip_text(const uint8_t ip[4], char buf[NET_TEXT_MAX])
{
	(void)snprintf(buf, NET_TEXT_MAX, "%u.%u.%u.%u", ip[0], ip[1], ip[2],
		       ip[3]);
	return buf;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool net_mac_parse(const char *text, uint8_t mac[VNET_MAC_BYTES])
{
	uint8_t m[VNET_MAC_BYTES];

	if (strlen(text) != 3 * VNET_MAC_BYTES - 1)
		return false;
	for (unsigned i = 0; i < VNET_MAC_BYTES; i++, text += 3) {
		int high = hex_digit(text[0]), low = hex_digit(text[1]);

		if (high < 0 || low < 0 ||
		    (i + 1 < VNET_MAC_BYTES && text[2] != ':'))
			return false;
		m[i] = (uint8_t)(high << 4 | low);
	}
	if (vnet_is_group(m))
		return false;
	memcpy(mac, m, sizeof(m));
	return true;
}

/* --- networks --- */

static struct network *network_find(const struct nets *n, const char *name)
{
	struct network *net = n->list;

	while (net && strcmp(net->name, name) != 0)
		net = net->next;
	return net;
}

static bool subnet_taken(const struct nets *n, const uint8_t *subnet)
{
	for (const struct network *net = n->list; net; net = net->next)
		if (memcmp(net->subnet, subnet, VNET_SUBNET_BYTES) == 0)
			return true;
	return false;
}

/* By the name, so that a network has the same one each time if it can. */
static void pick_subnet(const struct nets *n, struct network *net)
{
	uint32_t h = 2166136261u; /* FNV-1a */

	for (const char *s = net->name; *s; s++)
		h = (h ^ (uint8_t)*s) * 16777619u;
	h ^= h >> 16;
	for (unsigned i = 0; i < SUBNETS; i++, h++) {
		net->subnet[0] = 10;
		net->subnet[1] = (uint8_t)(h >> 8);
		net->subnet[2] = (uint8_t)h;
		if (!subnet_taken(n, net->subnet))
			return;
	}
}

static struct network *network_make(struct nets *n, const char *name)
{
	struct network *net = calloc(1, sizeof(*net));

	if (!net)
		return NULL;
	(void)snprintf(net->name, sizeof(net->name), "%s", name);
	pick_subnet(n, net);
	net->next = n->list;
	n->list = net;
	return net;
}

static void network_free_if_empty(struct nets *n, struct network *net)
{
	struct network **at = &n->list;

	if (net->ports)
		return;
	while (*at != net)
		at = &(*at)->next;
	*at = net->next;
	free(net);
}

static struct net_port *port_at(const struct network *net, uint32_t slot)
{
	struct net_port *p = net->ports;

	while (p && p->slot != slot)
		p = p->next;
	return p;
}

/* --- what workers know --- */

static void nets_retry_later(struct nets *n)
{
	if (n->loop && !n->retry.at_ns)
		loop_timer_set(n->loop, &n->retry, clock_now_ns() + RETRY_NS);
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
	return vm_watch_send(to->vm, &r, fds);
}

static int send_port_end(struct net_port *to, uint32_t slot)
{
	struct worker_request r = { .kind = WORKER_REQ_NET_PORT_END,
				    .net_port_end = { .net = to->index,
						      .slot = slot } };

	return vm_watch_send(to->vm, &r, NULL);
}

/* Return: 0; -EAGAIN: not all could be sent now. */
static int port_update(struct net_port *to)
{
	for (uint32_t slot = 0; slot < NET_STATIONS_MAX; slot++) {
		const struct net_port *p = port_at(to->net, slot);
		uint32_t gen = p && p->vm && p != to ? p->gen : 0;
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

static void network_update(struct network *net)
{
	for (struct net_port *p = net->ports; p; p = p->next)
		if (p->vm && port_update(p) == -EAGAIN)
			nets_retry_later(p->nets);
}

static void nets_on_retry(struct loop_timer *t)
{
	nets_update(container_of(t, struct nets, retry));
}

/* --- ports --- */

static void port_free(struct net_port *p)
{
	fds_drop(&p->region);
	fds_drop(&p->reader);
	fds_drop(&p->wake_rx);
	fds_drop(&p->wake_tx);
	free(p);
}

/* By slot. Return: -EEXIST: the slot is taken. */
static int port_insert(struct network *net, struct net_port *p)
{
	struct net_port **at = &net->ports;

	while (*at && (*at)->slot < p->slot)
		at = &(*at)->next;
	if (*at && (*at)->slot == p->slot)
		return -EEXIST;
	p->net = net;
	p->next = *at;
	*at = p;
	return 0;
}

static struct net_port *port_new(struct nets *n, const char *name,
				 unsigned index)
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

static int port_open(struct net_port *p)
{
	/* Its pages come to the node of the worker, which touches them first. */
	int err = region_prepare("disco-net", sizeof(struct vnet_shared),
				 NODE_AUTO, &p->region);

	if (!err)
		err = region_reader_fd(p->region, &p->reader);
	return err ? err : chan_wake_create(&p->wake_tx, &p->wake_rx);
}

/* Unique, and larger than any of an earlier monitor of this boot. */
static uint32_t next_gen(struct nets *n)
{
	uint32_t now = (uint32_t)(clock_now_ns() / GEN_UNIT_NS);

	n->last_gen = now > n->last_gen ? now : n->last_gen + 1;
	return n->last_gen;
}

static bool mac_taken(const struct network *net, const uint8_t *mac)
{
	for (const struct net_port *p = net->ports; p; p = p->next)
		if (memcmp(p->station.mac, mac, VNET_MAC_BYTES) == 0)
			return true;
	return false;
}

static void default_mac(struct vnet_station *s)
{
	s->mac[0] = 0x02; /* locally administered; as vnet_mac_of_ip() */
	s->mac[1] = 0xd1;
	memcpy(s->mac + 2, s->ip, sizeof(s->ip));
}

static int port_address(const struct network *net, const struct net_config *c,
			struct net_port *p, struct diag *d)
{
	struct vnet_station *s = &p->station;

	while (p->slot < NET_STATIONS_MAX && port_at(net, p->slot))
		p->slot++;
	if (p->slot == NET_STATIONS_MAX)
		return diag_fail(d, ST_CONFIG, ENOSPC,
				 "%s: network '%s' has %u VMs already", s->name,
				 net->name, NET_STATIONS_MAX);
	memcpy(s->ip, net->subnet, VNET_SUBNET_BYTES);
	s->ip[3] = (uint8_t)(FIRST_STATION + p->slot);
	default_mac(s);
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

static int port_reserve(struct nets *n, const struct vm_config *vm,
			unsigned index, struct net_port **out, struct diag *d)
{
	const struct net_config *c = &vm->nets[index];
	struct network *net = network_find(n, c->name);
	struct net_port *p = port_new(n, vm->name, index);
	int err;

	if (!net)
		net = network_make(n, c->name);
	if (!net || !p) {
		free(p);
		return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	}
	err = port_address(net, c, p, d);
	if (err)
		goto fail;
	err = port_open(p);
	if (err) {
		err = diag_fail(d, ST_HOST, -err,
				"%s: no memory or descriptors for network "
				"'%s': %s",
				vm->name, c->name, strerror(-err));
		goto fail;
	}
	p->gen = next_gen(n);
	(void)!port_insert(net, p); /* its slot is free */
	*out = p;
	return 0;
fail:
	port_free(p);
	network_free_if_empty(n, net);
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
	struct net_port **at = &p->net->ports;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	network_update(p->net);
	network_free_if_empty(p->nets, p->net);
	port_free(p);
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
	for (unsigned i = 0; i < VM_MAX_NETS && ports[i]; i++)
		net_port_spec(ports[i], &r->nets[r->nr_nets++]);
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
	for (unsigned i = 0; i < NET_STATIONS_MAX; i++)
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

static int port_adopt(struct nets *n, const struct vm_record *r, unsigned index,
		      int pidfd, struct net_port **out)
{
	const struct worker_net *w = &r->nets[index];
	struct network *net = network_find(n, w->net);
	struct net_port *p = port_new(n, r->name, index);
	int err = -ENOMEM;

	if (!net)
		net = network_make(n, w->net);
	if (!net || !p)
		goto fail;
	if (!net->ports)
		memcpy(net->subnet, w->ip, VNET_SUBNET_BYTES);
	err = port_take_over(p, r, pidfd);
	if (!err && memcmp(net->subnet, w->ip, VNET_SUBNET_BYTES) != 0)
		err = -EINVAL;
	if (!err)
		err = port_insert(net, p);
	if (err)
		goto fail;
	if (p->gen > n->last_gen)
		n->last_gen = p->gen;
	*out = p;
	return 0;
fail:
	if (p)
		port_free(p);
	if (net)
		network_free_if_empty(n, net);
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
			    const struct net_port *p),
	       void *arg)
{
	for (const struct network *net = n->list; net; net = net->next)
		for (const struct net_port *p = net->ports; p; p = p->next)
			each(arg, net->name, p);
}

int nets_create(struct nets **out)
{
	struct nets *n = calloc(1, sizeof(*n));

	if (!n)
		return -ENOMEM;
	n->retry.expired = nets_on_retry;
	*out = n;
	return 0;
}

void nets_destroy(struct nets *n)
{
	nets_detach_all(n);
	free(n);
}
