/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/worker/views/kvms.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "monitor/dev/platform/layout.h"

_Static_assert(IOAPIC_NR_PINS <= GSI_MSI_FIRST, "a number has one meaning");

/* --- life --- */

void kvms_init(struct kvms *k)
{
	*k = (struct kvms){ .fd = -1 };
	(void)pthread_mutex_init(&k->lock, NULL);
}

/*
 * A message of the platform's interrupt controller. That no APIC takes it is no
 * error, as in hardware.
 */
static void kvms_send(void *arg, uint64_t address, uint32_t data)
{
	const struct kvms *k = arg;

	(void)!views_send(k->views, address, data);
}

int kvms_create(struct kvms *k, int kvm_fd, const struct views_spec *views)
{
	int err;

	if (!views) {
		k->fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
		return k->fd < 0 ? -errno : 0;
	}
	/* Views that were not made in full are destroyed as well. */
	err = views_create(views, &k->views);
	ioapic_init(&k->ioapic, kvms_send, k);
	view_routes_init(&k->view_routes, k->views, GSI_MSI_FIRST);
	k->split = true;
	return err;
}

void kvms_destroy(struct kvms *k)
{
	views_destroy(k->views);
	if (k->split) {
		view_routes_destroy(&k->view_routes);
		ioapic_destroy(&k->ioapic);
	}
	if (k->fd >= 0)
		(void)close(k->fd);
	(void)pthread_mutex_destroy(&k->lock);
}

unsigned kvms_count(const struct kvms *k)
{
	return k->views ? views_count(k->views) : 1;
}

int kvms_fd(const struct kvms *k, unsigned i)
{
	return k->views ? views_vm_fd(k->views, i) : k->fd;
}

int kvms_make_vcpu(struct kvms *k, unsigned index, unsigned apic_id)
{
	int home = k->views ? views_home_fd(k->views, index) : k->fd;
	/* KVM's number of a vCPU is its APIC's. */
	int fd = ioctl(home, KVM_CREATE_VCPU, (unsigned long)apic_id);

	return fd < 0 ? -errno : fd;
}

int kvms_set_slot_of(const struct kvms *k, unsigned i,
		     const struct kvm_userspace_memory_region *r)
{
	return ioctl(kvms_fd(k, i), KVM_SET_USER_MEMORY_REGION, r) < 0 ? -errno
								       : 0;
}

int kvms_set_slot(const struct kvms *k,
		  const struct kvm_userspace_memory_region *r)
{
	int err = 0;

	for (unsigned i = 0; !err && i < kvms_count(k); i++)
		err = kvms_set_slot_of(k, i, r);
	return err;
}

/* --- interrupts --- */

static int set_routes(struct kvms *k)
{
	k->routes.head.nr = k->nr_routes;
	return ioctl(k->fd, KVM_SET_GSI_ROUTING, &k->routes) < 0 ? -errno : 0;
}

int kvms_make_irqchip(struct kvms *k, struct io_bus *mmio)
{
	uint64_t identity = LAYOUT_IDENTITY_MAP;

	/* The kernel's part was made with the views. */
	if (k->split)
		return ioapic_add(&k->ioapic, mmio);
	if (ioctl(k->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity) < 0 ||
	    ioctl(k->fd, KVM_SET_TSS_ADDR, (unsigned long)LAYOUT_TSS) < 0 ||
	    ioctl(k->fd, KVM_CREATE_IRQCHIP, 0) < 0)
		return -errno;
	for (uint32_t pin = 0; pin < IOAPIC_NR_PINS; pin++)
		k->routes.e[k->nr_routes++] = (struct kvm_irq_routing_entry){
			.gsi = pin,
			.type = KVM_IRQ_ROUTING_IRQCHIP,
			.u.irqchip = { .irqchip = KVM_IRQCHIP_IOAPIC,
				       .pin = pin },
		};
	return set_routes(k);
}

static int new_route(struct kvms *k, int fd, uint32_t *gsi)
{
	struct kvm_irqfd irqfd = { .fd = (uint32_t)fd };

	if (k->nr_routes == VM_MAX_MSI_ROUTES)
		return -ENOSPC;
	irqfd.gsi = GSI_MSI_FIRST + k->nr_routes - IOAPIC_NR_PINS;
	if (ioctl(k->fd, KVM_IRQFD, &irqfd) < 0)
		return -errno;
	k->routes.e[k->nr_routes++] =
		(struct kvm_irq_routing_entry){ .gsi = irqfd.gsi,
						.type = KVM_IRQ_ROUTING_MSI };
	*gsi = irqfd.gsi;
	return 0;
}

int kvms_msi_route(struct kvms *k, int fd, uint32_t *gsi, uint64_t address,
		   uint32_t data)
{
	int err = 0;

	if (k->split)
		return view_routes_set(&k->view_routes, fd, gsi, address, data);
	(void)pthread_mutex_lock(&k->lock);
	if (*gsi == 0)
		err = new_route(k, fd, gsi);
	for (unsigned i = 0; !err && i < k->nr_routes; i++) {
		struct kvm_irq_routing_entry *e = &k->routes.e[i];

		if (e->gsi != *gsi || e->type != KVM_IRQ_ROUTING_MSI)
			continue;
		e->u.msi.address_lo = (uint32_t)address;
		e->u.msi.address_hi = (uint32_t)(address >> 32);
		e->u.msi.data = data;
		err = set_routes(k);
		break;
	}
	(void)pthread_mutex_unlock(&k->lock);
	return err;
}

int kvms_ioeventfd(struct kvms *k, int fd, uint64_t at, unsigned len, bool on)
{
	struct kvm_ioeventfd e = { .addr = at, .len = len, .fd = fd };

	e.flags = on ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN;
	if (k->split)
		return views_set_ioeventfd(k->views, &e);
	return ioctl(k->fd, KVM_IOEVENTFD, &e) < 0 ? -errno : 0;
}

void kvms_irq_line(struct kvms *k, uint32_t gsi, bool high)
{
	struct kvm_irq_level l = { .irq = gsi, .level = high };

	if (k->split) {
		ioapic_line(&k->ioapic, gsi, high);
		return;
	}
	/* Fails only for a line that does not exist. */
	(void)ioctl(k->fd, KVM_IRQ_LINE, &l);
}
