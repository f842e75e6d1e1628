/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a device needs from the VM that it belongs to. Devices know neither KVM
 * nor the worker: tests provide a host of their own.
 */
#ifndef DISCO_MONITOR_DEV_HOST_H
#define DISCO_MONITOR_DEV_HOST_H

#include "disco/base.h"
#include "disco/worker_spec.h"
#include "memory/guest_ram.h"

/* A descriptor that the I/O thread waits for; a member of what it wakes. */
struct io_watch {
	int fd;
	void (*ready)(struct io_watch *w, uint32_t epoll_events);
};

struct dev_host;

struct dev_host_ops {
	/*
	 * Connect an eventfd to a message-signalled interrupt: a write to @fd
	 * sends @data to @addr. A call with other values changes the route.
	 * @gsi is 0 before the first call and belongs to the caller.
	 * Context: any thread. Return: 0; -ENOSPC no routes left; -errno.
	 */
	int (*msi_route)(struct dev_host *h, int fd, uint32_t *gsi,
			 uint64_t addr, uint32_t data);
	/*
	 * Signal @fd on every guest write of @len bytes at @at (@len 0: of any
	 * length), or stop doing so. Context: any thread. Return: 0; -errno.
	 */
	int (*ioeventfd)(struct dev_host *h, int fd, uint64_t at, unsigned len,
			 bool on);
	/* Set the level of an interrupt line. Context: any thread. */
	void (*irq_line)(struct dev_host *h, uint32_t gsi, bool high);
	/*
	 * Wait for @w->fd on the I/O thread, with EPOLLET for edges only;
	 * with @epoll_events 0 the wait ends. Context: any thread. Return: 0; -errno.
	 */
	int (*watch)(struct dev_host *h, struct io_watch *w,
		     uint32_t epoll_events);
	/*
	 * The guest does not need the contents of these pages. Pages outside
	 * its RAM are ignored. Context: I/O thread.
	 */
	void (*free_pages)(struct dev_host *h, gfn_t first, uint64_t nr);
	/*
	 * Show memory of the worker's to the guest at @at, in place of what
	 * @which (0, 1) showed before; @bytes 0: nothing any more. A write by
	 * the guest to @read_only memory is a write to the bus. @hva outlives
	 * the VM. Context: I/O thread, takes milliseconds. Return: 0; -errno.
	 */
	int (*show_memory)(struct dev_host *h, unsigned which, uint64_t at,
			   void *hva, uint64_t bytes, bool read_only);
	/*
	 * Report one line to whoever runs the VM: something is wrong that does
	 * not end the VM. A guest can cause it, so a device calls it once in
	 * its life. Context: any thread; blocks while control does not read.
	 */
	void (*report)(struct dev_host *h, const char *text);
	/*
	 * End the VM; the first reason counts. Returns at once; the vCPUs stop
	 * soon after. Context: any thread.
	 */
	void (*stop)(struct dev_host *h, enum worker_stop why,
		     const char *text);
};

struct dev_host {
	const struct dev_host_ops *ops;
	const struct ram_view *ram;
};

#endif
