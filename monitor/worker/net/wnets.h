/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The networks of a VM in its worker: creates the devices from the worker's
 * descriptors, and adds and removes other ports as control requests it.
 */
#ifndef DISCO_MONITOR_WORKER_WNETS_H
#define DISCO_MONITOR_WORKER_WNETS_H

#include "disco/worker_spec.h"
#include "monitor/dev/net/virtio_net.h"
#include "monitor/worker/vm/vm.h"

struct refs;

struct wnets {
	unsigned nr;
	struct virtio_net *nets[VM_MAX_NETS];
};

/**
 * wnets_create() - put all networks of the VM's specification on its PCI bus
 * @w:    zeroed
 * @vm:   outlives @w
 * @refs: of the VM, for references in frames; outlives @w; NULL: there are none
 *
 * Context: start of the worker, before the sandbox. Return: 0; errors of
 * vnet_port_create(), virtio_net_create() and pci_add(). On error nothing is
 * undone, because the process ends.
 */
MUST_CHECK int wnets_create(struct wnets *w, struct vm *vm, struct refs *refs);

/**
 * wnets_obey() - handle WORKER_REQ_NET_PORT, _PORT_END and _DUMP
 * @r:   checked
 * @fds: descriptors of the message's kind; owned by this function
 *
 * Reports failures on standard error; the port is then not reached. Context: the
 * I/O thread.
 */
void wnets_obey(struct wnets *w, const struct worker_request *r,
		const int fds[2]);

#endif
