/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VMs of one network, by the real nets.c, in one process: it plays their workers,
 * which have the VMs' ports.
 */
#ifndef TESTS_UNIT_CONTROL_NET_VMS_H
#define TESTS_UNIT_CONTROL_NET_VMS_H

#include "monitor/control/nets/nets.h"
#include "vnet/port.h"

#define NET_VMS 3u

struct net_vms {
	struct watcher watcher;
	struct nets *nets;
	struct vm_config configs[NET_VMS]; /* network "lan", to be changed */
	char names[NET_VMS][8];
	struct net_ports ports[NET_VMS];
	struct vm_watch vms[NET_VMS];
	int theirs[NET_VMS];		 /* the workers' ends */
	struct vnet_port *port[NET_VMS]; /* NULL: not opened */
	unsigned told[NET_VMS];		 /* ports that it got to know */
	struct diag d;
};

/* Sets DISCO_UPLINK. @self: of the test. Return: false: it was not built. */
bool net_vms_find_uplink(const char *self);

/* A failure fails the test. */
void net_vms_create(struct net_vms *v);
/* All ends, processes of networks as well, which are waited for. */
void net_vms_destroy(struct net_vms *v);

/* Start a VM: reserve, open its port if @open, attach; nets_update() is next. */
void net_vms_start(struct net_vms *v, unsigned i, bool open);

/*
 * A turn of control's loop, and of an open worker: what it is told, and the next
 * frame. Return: true: a frame came, in @frame, cut off at @size.
 */
bool net_vms_run(struct net_vms *v, unsigned i, uint8_t *frame, size_t size,
		 uint32_t *len, struct vnet_hdr *hdr);

/* The first child of this process, as a network has one; 0: there is none. */
pid_t net_vms_child(void);

#endif
