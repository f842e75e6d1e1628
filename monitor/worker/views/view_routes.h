/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Message-signalled interrupts of devices in a guest with views: eventfds, each
 * with a number (GSI) and a message. All views have the same table of messages;
 * an eventfd belongs to the view that its message is for, so that an interrupt
 * needs no ghost. Until it was moved there, or if the message is for vCPUs of
 * several views, ghosts send it on.
 */
#ifndef DISCO_MONITOR_VIEWS_VIEW_ROUTES_H
#define DISCO_MONITOR_VIEWS_VIEW_ROUTES_H

#include <pthread.h>

#include "monitor/worker/views/views.h"

#define VIEW_MAX_ROUTES 256

struct view_routes {
	pthread_mutex_t lock;
	struct views *views; /* [I] not owned */
	uint32_t first_gsi;  /* [I] of the first route */
	/* [L:lock] */
	struct {
		int fd;	  /* not owned */
		int view; /* where fd is set; negative: nowhere */
	} of[VIEW_MAX_ROUTES];
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry e[VIEW_MAX_ROUTES];
	} table;
};

/* No routes yet. @views outlives it. */
void view_routes_init(struct view_routes *r, struct views *views,
		      uint32_t first_gsi);
void view_routes_destroy(struct view_routes *r);

/**
 * view_routes_set() - have an eventfd send a message from now on
 * @fd:  stays open as long as the views
 * @gsi: in and out: 0: a new route
 *
 * Context: any thread; blocks for other callers. Return: 0; -ENOSPC;
 * -EINVAL: no such route; -errno of KVM.
 */
MUST_CHECK int view_routes_set(struct view_routes *r, int fd, uint32_t *gsi,
			       uint64_t address, uint32_t data);

#endif
