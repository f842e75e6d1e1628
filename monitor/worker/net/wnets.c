/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/worker/net/wnets.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "monitor/worker/net/refs.h"

_Static_assert(VM_NAME_MAX == VNET_NAME_MAX, "stations are named after VMs");
_Static_assert(NET_COUNTS <= FIGURES_NET_CLAIMS &&
		       FIGURES_NET_CLAIMS == NET_SHOWN_CLAIMS &&
		       NET_SHOWN == FIGURES_NET_WORDS,
	       "all counts are shown");

/*
 * A pair per vCPU, as with disks: each vCPU sends without another one's lock,
 * and gets the interrupts of its flows. More than one per vCPU are never used.
 */
static unsigned pairs_of(const struct worker_spec *s,
			 const struct worker_net *n)
{
	return (unsigned)min_u64(s->nr_vcpus,
				 n->queues ? n->queues : NET_MAX_QUEUES);
}

static int add_net(struct wnets *w, struct vm *vm, struct refs *refs,
		   unsigned i)
{
	const struct worker_net *n = &vm->spec->nets[i];
	int fd = worker_net_fd(vm->spec, i);
	struct vnet_station own = { .mac = { 0 } };
	struct vnet_plan plan = { .bits = n->bits,
				  .routed = n->routed,
				  .routed4 = n->routed4,
				  .planned6 = n->planned6 };
	struct vnet_port *port;
	int err;

	memcpy(plan.server, n->server, sizeof(plan.server));
	vnet_prefix6(n->net, plan.prefix6);
	memcpy(own.mac, n->mac, sizeof(own.mac));
	memcpy(own.ip, n->ip, sizeof(own.ip));
	memcpy(own.name, vm->spec->name, sizeof(own.name));
	err = vnet_port_create(fd + WORKER_NET_REGION, fd + WORKER_NET_WAKE,
			       n->slot, n->gen, &own, &plan, &port);
	if (err)
		return err;
	vnet_port_show_pairs(port, vm->figures->pairs[i]);
	err = virtio_net_create(&vm->host, port, n->net,
				vm->figures->nets[i].words,
				pairs_of(vm->spec, n), &w->nets[i]);
	if (err)
		return err;
	if (refs)
		virtio_net_use_refs(w->nets[i], &refs_ops, refs);
	w->nr = i + 1;
	return pci_add(&vm->pci, &virtio_net_dev(w->nets[i])->pci);
}

int wnets_create(struct wnets *w, struct vm *vm, struct refs *refs)
{
	for (unsigned i = 0; i < vm->spec->nr_nets; i++) {
		int err = add_net(w, vm, refs, i);

		if (err)
			return err;
	}
	return 0;
}

static void wnets_add_port(struct virtio_net *n,
			   const struct worker_req_net_port *p,
			   const int fds[2])
{
	struct vnet_station s = { .mac = { 0 } };
	int err;

	memcpy(s.mac, p->mac, sizeof(s.mac));
	memcpy(s.ip, p->ip, sizeof(s.ip));
	memcpy(s.name, p->name, sizeof(s.name));
	s.shares = p->shares;
	err = virtio_net_add_port(n, p->slot, p->gen, &s, fds[0], fds[1]);
	if (err)
		(void)fprintf(stderr, "network: %s is not reached: %s\n",
			      s.name, strerror(-err));
}

static void wnets_dump(struct wnets *w, const struct worker_req_net_dump *r,
		       int fd)
{
	if (r->net < w->nr)
		virtio_net_dump(w->nets[r->net], fd, r->net, r->most);
	else
		(void)close(fd);
}

void wnets_obey(struct wnets *w, const struct worker_request *r,
		const int fds[2])
{
	bool add = r->kind == WORKER_REQ_NET_PORT;
	uint32_t net = add ? r->net_port.net : r->net_port_end.net;

	if (r->kind == WORKER_REQ_NET_DUMP) {
		wnets_dump(w, &r->net_dump, fds[0]);
		return;
	}
	if (net >= w->nr) {
		if (add) {
			(void)close(fds[0]);
			(void)close(fds[1]);
		}
		return;
	}
	if (add)
		wnets_add_port(w->nets[net], &r->net_port, fds);
	else
		virtio_net_remove_port(w->nets[net], r->net_port_end.slot,
				       r->net_port_end.gen);
}
