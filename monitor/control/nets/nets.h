/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtual networks of one control process: which ports there are, and which
 * of them each worker knows.
 *
 * A network exists while it has ports; of the last ones without ports the plan of
 * addresses is kept (net_plan.h), so that a VM that is started again has the
 * address that it had. Control prepares the region of a port, passes it to the port's worker when
 * that starts, and passes a descriptor for reading to the workers of the other
 * ports. It never maps one. When a VM ends, the other workers are told that its
 * port is gone.
 *
 * A network of which a VM has an uplink has a process that leads further
 * (disco/uplink_proto.h), in a slot that no VM gets. Only the VMs with an uplink
 * know its port, and it theirs. It ends with control; one that dies is started
 * again. The same holds for the trunk of a network, which VMs with a tap device
 * know (monitor/uplink/trunk.h): while its device does not exist, it is tried again
 * every second.
 *
 * What a worker knows is brought up to date by comparison: a request that
 * cannot be sent now, because the worker does not read, is sent later. So a
 * worker that is stopped holds nobody up.
 *
 * Context of all functions: control's thread.
 */
#ifndef DISCO_MONITOR_NETS_H
#define DISCO_MONITOR_NETS_H

#include "disco/config.h"
#include "disco/worker_spec.h"
#include "monitor/control/base/state_dir.h"
#include "monitor/control/nets/net_plan.h"
#include "monitor/control/workers/vm_watch.h"

#define NETS_EMPTY_MAX 64u /* networks without VMs whose plans are kept */

struct network;
struct nets;
struct uplink;

/* A VM's port. Read by others; written by nets.c. */
struct net_port {
	struct nets *nets;
	struct network *net;
	struct net_port *next; /* in its network, by slot */
	uint32_t slot, gen;
	struct vnet_station station;
	unsigned index; /* which of its VM's networks */
	/*
	 * Owned: the region, until its worker has it (-1 from then on), and for
	 * reading; both ends of its wake-ups, the same.
	 */
	int region, reader, wake_rx, wake_tx;
	struct vm_watch *vm; /* of its worker; NULL: does not run yet */
	bool routed;	     /* it has an uplink */
	bool routed4;	     /* that leads it to no IPv6 address */
	bool planned;	     /* its guest has planned addresses alone */
	/*
	 * The group that its VM shares memory with: frames between two ports of the
	 * same one may have references (vnet/refs.h). "": none.
	 */
	char shares[VM_NAME_MAX + 1];
	char tap[NET_TAP_MAX + 1]; /* the trunk's device; "": it has none */
	char *publish;	    /* owned: as in struct vm_config; NULL: none */
	uint32_t published; /* generation of the uplink that was told */
	/* It is the own port of the uplink, or the trunk; NULL: a VM's. */
	struct uplink *uplink;
	/*
	 * Generations of the ports that its worker knows, by slot; 0: none;
	 * NET_UNKNOWN: an earlier monitor has told it.
	 */
	uint32_t known[VNET_PORTS_MAX];
};

#define NET_UNKNOWN UINT32_MAX

/* Of one VM: the first ones; the others are NULL. */
struct net_ports {
	struct net_port *of[VM_MAX_NETS];
};

MUST_CHECK int nets_create(struct nets **out); /* Return: 0; -ENOMEM. */
/* All ports were released. NULL is accepted. */
void nets_destroy(struct nets *n);

/**
 * nets_reserve() - make the ports of a VM that is going to start
 * @vm:    checked
 * @ports: out, vm->nr_nets entries, owned by the caller until nets_release();
 *         the others, and all on error, are NULL
 *
 * Return: 0; -ENOSPC a network is full, -EEXIST an address is taken, its trunk is
 * another device, or the device another network's, -ENODEV, -EINVAL of
 * net_tap_open() (ST_CONFIG); -errno of regions and sockets, others of
 * net_tap_open() (ST_HOST). A device that somebody else has is no error: it may be
 * an earlier trunk that is about to end.
 */
MUST_CHECK int nets_reserve(struct nets *n, const struct vm_config *vm,
			    struct net_port *ports[VM_MAX_NETS],
			    struct diag *d);

/* Their worker is dead, or was not started. Entries may be NULL; set to NULL. */
void nets_release(struct net_port *ports[VM_MAX_NETS]);

/* Their worker runs, and is watched by @vm until nets_release(). */
void nets_attach(struct net_port *ports[VM_MAX_NETS], struct vm_watch *vm);

/*
 * Tell each worker which ports are attached. After all of a start, or of those
 * that are adopted, were attached: a port that a worker knows and that is not
 * attached has ended.
 */
void nets_update(struct nets *n);

/* Before the loop of the attached VMs is destroyed. */
void nets_detach_all(struct nets *n);

/* What a worker is started with. */
void net_port_spec(const struct net_port *p, struct worker_net *out);

/*
 * The descriptors that the worker gets: at most WORKER_MAX_NET_FDS. Return: their
 * number.
 */
unsigned nets_descriptors(struct net_port *const ports[VM_MAX_NETS], int *out);

/*
 * nets_record() - write what nets_adopt() needs into a VM's record; the worker
 * was started with @spec's disks. nets_adopt() makes the ports of a running
 * worker from it.
 *
 * Return: 0; -EEXIST, -EINVAL the record contradicts another one's; -errno of
 * pidfd_getfd() and open(): the VM is in no network of this monitor.
 */
void nets_record(struct net_port *const ports[VM_MAX_NETS],
		 struct vm_record *r);
MUST_CHECK int nets_adopt(struct nets *n, const struct vm_record *r, int pidfd,
			  struct net_port *ports[VM_MAX_NETS]);

/*
 * A VM had these ports, and has ended while no monitor ran: if it is started
 * again, it gets the same addresses.
 */
void nets_remember(struct nets *n, const struct vm_record *r);

/*
 * The port of that slot and generation in the network of @p, which may be NULL: the
 * name of its VM, "(uplink)" or "(trunk)"; not owned. Return: NULL: there is none.
 */
const char *net_port_peer_name(const struct net_port *p, uint32_t slot,
			       uint32_t gen);

/* Call @each for every port, network by network. */
void nets_each(const struct nets *n,
	       void (*each)(void *arg, const char *net,
			    const struct net_plan *plan,
			    const struct net_port *p),
	       void *arg);

#endif
