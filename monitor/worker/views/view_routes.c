/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/worker/views/view_routes.h"

#include <errno.h>

void view_routes_init(struct view_routes *r, struct views *views,
		      uint32_t first_gsi)
{
	*r = (struct view_routes){ .views = views, .first_gsi = first_gsi };
	(void)pthread_mutex_init(&r->lock, NULL);
}

void view_routes_destroy(struct view_routes *r)
{
	(void)pthread_mutex_destroy(&r->lock);
}

/* With the lock. */
static int view_routes_find(struct view_routes *r, int fd, uint32_t *gsi,
			    unsigned *i)
{
	unsigned nr = r->table.head.nr;

	if (*gsi != 0) {
		*i = *gsi - r->first_gsi;
		return *gsi >= r->first_gsi && *i < nr ? 0 : -EINVAL;
	}
	if (nr == VIEW_MAX_ROUTES)
		return -ENOSPC;
	r->table.e[nr] =
		(struct kvm_irq_routing_entry){ .gsi = r->first_gsi + nr,
						.type = KVM_IRQ_ROUTING_MSI };
	r->of[nr].fd = fd;
	r->of[nr].view = -1;
	r->table.head.nr = nr + 1;
	*gsi = r->first_gsi + nr;
	*i = nr;
	return 0;
}

/* The message before the eventfd: what comes in between is sent by ghosts. */
static int set_route(struct view_routes *r, unsigned i, uint64_t address,
		     uint32_t data)
{
	int view = (int)views_of_message(r->views, address), err;
	struct kvm_irq_routing_msi *msi = &r->table.e[i].u.msi;

	msi->address_lo = (uint32_t)address;
	msi->address_hi = (uint32_t)(address >> 32);
	msi->data = data;
	err = views_set_routes(r->views, (struct kvm_irq_routing *)&r->table);
	if (!err)
		err = views_set_irqfd(r->views, r->of[i].fd, r->table.e[i].gsi,
				      r->of[i].view, view);
	if (!err)
		r->of[i].view = view;
	return err;
}

int view_routes_set(struct view_routes *r, int fd, uint32_t *gsi,
		    uint64_t address, uint32_t data)
{
	unsigned i;
	int err;

	(void)pthread_mutex_lock(&r->lock);
	err = view_routes_find(r, fd, gsi, &i);
	if (!err)
		err = set_route(r, i, address, data);
	(void)pthread_mutex_unlock(&r->lock);
	return err;
}
