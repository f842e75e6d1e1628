/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of this room share of networks and their ports. */
#ifndef DISCO_MONITOR_NETS_INTERNAL_H
#define DISCO_MONITOR_NETS_INTERNAL_H

#include "monitor/control/nets/nets.h"

#define NETS_RETRY_NS 50000000ull

/* A process that leads out of a network, or its trunk: net_uplink.c. */
struct uplink {
	struct network *net;
	bool trunk;	       /* [I] */
	struct net_port *port; /* owned */
	int control;	       /* owned; -1: it is not there */
	struct loop_watch watch;
	uint64_t died_ns;  /* 0: it has not */
	uint64_t begun_ns; /* when it was started last */
	uint64_t told_ns;  /* when a death was reported last; 0: never */
	uint64_t busy_ns;  /* since when the device is in use; 0: it is not */
	bool reported;	   /* that it cannot be started, or has died */
	bool failed;	   /* the former */
};

struct network {
	struct network *next;
	struct nets *nets;
	char name[VM_NAME_MAX + 1];
	struct net_plan plan;
	struct net_port *ports;			  /* by slot */
	struct net_port *by_slot[VNET_PORTS_MAX]; /* the same */
	struct uplink uplink, trunk;
};

struct nets {
	struct network *list;
	uint32_t last_gen;
	struct loop *loop; /* of the attached VMs; NULL: none is */
	struct sink *err;  /* the same */
	struct loop_timer retry;
	struct loop_timer sweep; /* of networks without ports */
};

/* Look at all networks again, then, or before if that is to happen already. */
void nets_retry_in(struct nets *n, uint64_t ns);

/* Tell all ports of a network what they have to know. */
void network_update(struct network *net);

/* A port without address and descriptors; release with net_port_free(). */
struct net_port *net_port_new(struct nets *n, const char *name, unsigned index);
void net_port_free(struct net_port *p);
/* Its region and wake-ups. Return: 0; -errno. */
MUST_CHECK int net_port_open(struct net_port *p);
/* By slot. Return: 0; -EEXIST: the slot is taken. */
MUST_CHECK int net_port_insert(struct network *net, struct net_port *p);
void net_port_unlink(struct net_port *p);
/* Made of its address: vnet_mac_of_ip(). */
void net_port_default_mac(struct vnet_station *s);
/* Unique, and larger than any of an earlier monitor of this boot. */
uint32_t nets_next_gen(struct nets *n);
/* To its worker, or its uplink. Return: as of vm_watch_send(). */
MUST_CHECK int net_port_send(const struct net_port *to,
			     struct worker_request *r, const int *fds);

/* --- net_uplink.c --- */

/* Start or stop uplink and trunk, as the VMs that run want them. */
void network_uplink(struct network *net);
void network_uplink_stop(struct network *net);
/* Has a VM this way out? NULL is accepted, for no way. */
bool net_port_has(const struct net_port *p, const struct uplink *u);
/* The device of a network's trunk, for VMs that run or start; NULL: none. */
const char *network_tap(const struct network *net);
/* The network whose trunk that device is; NULL: there is none. */
const struct network *nets_with_tap(const struct nets *n, const char *tap);
/* Publish the ports of VMs; after their ports were announced. */
void network_publish(struct network *net);
/* The ports of @p are published no more. */
void network_publish_end(const struct net_port *p);

#endif
