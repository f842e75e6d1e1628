/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/worker/views/views.h"

#include <asm/kvm_para.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "monitor/dev/platform/layout.h"
#include "monitor/worker/views/apic.h"

struct view {
	int vm_fd;
	int spare_fd; /* view_inhibit_apicv() */
};

struct views {
	struct views_spec spec; /* [I]; its tables are copied below */
	uint8_t home[APIC_ID_MAX];
	uint8_t apic_ids[APIC_ID_MAX];
	uint8_t vcpu_of[APIC_ID_MAX + 1]; /* [I] by APIC id */
	bool id_used[APIC_ID_MAX + 1];	  /* [I] by APIC id */
	struct view view[VIEWS_MAX];	  /* [I] */
	struct ghost *ghosts;		  /* [I] */
	unsigned nr_ghosts;		  /* [I] */
};

/* --- making the KVM VMs --- */

/*
 * Ghosts see interrupts that KVM delivers, not those that the CPU does (ghost.h,
 * 2). KVM keeps the CPU from it in a whole VM while one of its vCPUs is debugged
 * with interrupts blocked (Linux 5.16 and later). So there is one more vCPU,
 * which never runs. Where KVM cannot do that, ghost_start() finds out whether it
 * was needed.
 */
static int view_inhibit_apicv(struct view *w, unsigned spare_id)
{
	struct kvm_guest_debug d = { .control = KVM_GUESTDBG_ENABLE |
						KVM_GUESTDBG_BLOCKIRQ };
	int can =
		ioctl(w->vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_SET_GUEST_DEBUG2);

	if (can < 0 || !(can & KVM_GUESTDBG_BLOCKIRQ))
		return 0;
	w->spare_fd = ioctl(w->vm_fd, KVM_CREATE_VCPU, (unsigned long)spare_id);
	if (w->spare_fd < 0)
		return -errno;
	return ioctl(w->spare_fd, KVM_SET_GUEST_DEBUG, &d) < 0 ? -errno : 0;
}

static int view_make(struct view *w, int kvm_fd, unsigned spare_id)
{
	uint64_t identity = LAYOUT_IDENTITY_MAP;
	struct kvm_enable_cap split = { .cap = KVM_CAP_SPLIT_IRQCHIP };

	w->vm_fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	if (w->vm_fd < 0)
		return -errno;
	if (ioctl(w->vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity) < 0 ||
	    ioctl(w->vm_fd, KVM_SET_TSS_ADDR, (unsigned long)LAYOUT_TSS) < 0 ||
	    ioctl(w->vm_fd, KVM_ENABLE_CAP, &split) < 0)
		return -errno;
	return view_inhibit_apicv(w, spare_id);
}

static bool spec_valid(const struct views_spec *s)
{
	if (s->nr_views == 0 || s->nr_views > VIEWS_MAX || s->nr_vcpus == 0 ||
	    s->nr_vcpus >= APIC_ID_MAX)
		return false;
	for (unsigned i = 0; i < s->nr_vcpus; i++)
		if (s->home[i] >= s->nr_views)
			return false;
	return true;
}

/* False: two vCPUs have one id, or one is out of range. */
static bool views_copy(struct views *v)
{
	struct views_spec *s = &v->spec;

	for (unsigned i = 0; i < s->nr_vcpus; i++) {
		unsigned id = s->apic_ids ? s->apic_ids[i] : i;

		if (id > APIC_ID_MAX || v->id_used[id])
			return false;
		v->id_used[id] = true;
		v->apic_ids[i] = (uint8_t)id;
		v->vcpu_of[id] = (uint8_t)i;
		v->home[i] = s->home[i];
	}
	s->home = v->home;
	s->apic_ids = v->apic_ids;
	return true;
}

int views_create(const struct views_spec *spec, struct views **out)
{
	struct views *v;
	unsigned spare = 0;
	int err = 0;

	*out = NULL;
	if (!spec_valid(spec))
		return -EINVAL;
	v = calloc(1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	*out = v;
	v->spec = *spec;
	for (unsigned i = 0; i < VIEWS_MAX; i++)
		v->view[i] = (struct view){ .vm_fd = -1, .spare_fd = -1 };
	if (!views_copy(v))
		return -EINVAL;
	if (ioctl(spec->kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_SPLIT_IRQCHIP) <=
		    0 ||
	    ioctl(spec->kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_SIGNAL_MSI) <= 0)
		return -ENOTSUP;
	while (v->id_used[spare])
		spare++;
	for (unsigned i = 0; !err && i < spec->nr_views; i++)
		err = view_make(&v->view[i], spec->kvm_fd, spare);
	return err;
}

static void views_enter(const struct views *v, unsigned view)
{
	if (v->spec.enter)
		v->spec.enter(v->spec.arg, view);
}

static int ghost_at(struct views *v, unsigned view, unsigned vcpu,
		    size_t run_bytes)
{
	struct ghost_spec s = { .vm_fd = v->view[view].vm_fd,
				.real_vm_fd = views_home_fd(v, vcpu),
				.index = vcpu,
				.apic_id = v->apic_ids[vcpu],
				.run_bytes = run_bytes,
				.prepare = v->spec.prepare,
				.failed = v->spec.failed,
				.arg = v->spec.arg };

	return ghost_create(&v->ghosts[v->nr_ghosts++], &s);
}

int views_make_ghosts(struct views *v)
{
	int bytes = ioctl(v->spec.kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	unsigned nr = v->spec.nr_vcpus * (v->spec.nr_views - 1);

	if (bytes < (int)sizeof(struct kvm_run))
		return bytes < 0 ? -errno : -EPROTO;
	v->ghosts = calloc(nr ? nr : 1, sizeof(*v->ghosts));
	if (!v->ghosts)
		return -ENOMEM;
	for (unsigned i = 0; i < v->spec.nr_views; i++) {
		views_enter(v, i);
		for (unsigned c = 0; c < v->spec.nr_vcpus; c++) {
			int err = 0;

			if (v->home[c] != i)
				err = ghost_at(v, i, c, (size_t)bytes);
			if (err)
				return err;
		}
	}
	return 0;
}

int views_start(struct views *v)
{
	for (unsigned i = 0; i < v->spec.nr_views; i++) {
		views_enter(v, i);
		for (unsigned g = 0; g < v->nr_ghosts; g++) {
			int err = 0;

			if (v->ghosts[g].spec.vm_fd == v->view[i].vm_fd)
				err = ghost_start(&v->ghosts[g]);
			if (err)
				return err;
		}
	}
	return 0;
}

void views_stop(struct views *v)
{
	for (unsigned i = 0; i < v->nr_ghosts; i++)
		ghost_stop(&v->ghosts[i]);
}

void views_destroy(struct views *v)
{
	if (!v)
		return;
	views_stop(v);
	for (unsigned i = 0; i < v->nr_ghosts; i++)
		ghost_destroy(&v->ghosts[i]);
	for (unsigned i = 0; i < VIEWS_MAX; i++) {
		if (v->view[i].spare_fd >= 0)
			(void)close(v->view[i].spare_fd);
		if (v->view[i].vm_fd >= 0)
			(void)close(v->view[i].vm_fd);
	}
	free(v->ghosts);
	free(v);
}

unsigned views_count(const struct views *v)
{
	return v->spec.nr_views;
}

int views_vm_fd(const struct views *v, unsigned view)
{
	return v->view[view].vm_fd;
}

int views_home_fd(const struct views *v, unsigned vcpu)
{
	return v->view[v->home[vcpu]].vm_fd;
}

int views_set_slot(struct views *v, unsigned view,
		   const struct kvm_userspace_memory_region *r)
{
	if (ioctl(v->view[view].vm_fd, KVM_SET_USER_MEMORY_REGION, r) < 0)
		return -errno;
	return 0;
}

/* --- clocks and features --- */

int views_align_tsc(const struct views *v, const int *vcpu_fds)
{
	uint64_t offset = 0;
	struct kvm_device_attr a = { .group = KVM_VCPU_TSC_CTRL,
				     .attr = KVM_VCPU_TSC_OFFSET,
				     .addr = (uintptr_t)&offset };

	if (ioctl(vcpu_fds[0], KVM_GET_DEVICE_ATTR, &a) < 0)
		return -errno;
	for (unsigned i = 1; i < v->spec.nr_vcpus; i++)
		if (ioctl(vcpu_fds[i], KVM_SET_DEVICE_ATTR, &a) < 0)
			return -errno;
	return 0;
}

void views_hide_features(struct kvm_cpuid_entry2 *e, unsigned nr)
{
	const uint32_t hidden =
		1u << KVM_FEATURE_CLOCKSOURCE | 1u << KVM_FEATURE_CLOCKSOURCE2 |
		1u << KVM_FEATURE_CLOCKSOURCE_STABLE_BIT |
		1u << KVM_FEATURE_PV_UNHALT | 1u << KVM_FEATURE_PV_TLB_FLUSH |
		1u << KVM_FEATURE_PV_SEND_IPI |
		1u << KVM_FEATURE_PV_SCHED_YIELD;

	for (unsigned i = 0; i < nr; i++)
		if (e[i].function == KVM_CPUID_FEATURES)
			e[i].eax &= ~hidden;
}

/* --- interrupts of devices --- */

unsigned views_of_message(const struct views *v, uint64_t address)
{
	unsigned id = apic_msi_target(address);

	/* Several vCPUs: each view has an APIC for each of them. */
	return id <= APIC_ID_MAX && v->id_used[id] ? v->home[v->vcpu_of[id]]
						   : 0;
}

int views_send(const struct views *v, uint64_t address, uint32_t data)
{
	struct kvm_msi m = { .address_lo = (uint32_t)address,
			     .address_hi = (uint32_t)(address >> 32),
			     .data = data };
	int fd = v->view[views_of_message(v, address)].vm_fd;

	return ioctl(fd, KVM_SIGNAL_MSI, &m) < 0 ? -errno : 0;
}

int views_set_routes(struct views *v, const struct kvm_irq_routing *routes)
{
	for (unsigned i = 0; i < v->spec.nr_views; i++)
		if (ioctl(v->view[i].vm_fd, KVM_SET_GSI_ROUTING, routes) < 0)
			return -errno;
	return 0;
}

static int view_irqfd(struct views *v, int view, int fd, uint32_t gsi,
		      uint32_t flags)
{
	struct kvm_irqfd e = { .fd = (uint32_t)fd, .gsi = gsi, .flags = flags };

	if (view < 0)
		return 0;
	return ioctl(v->view[view].vm_fd, KVM_IRQFD, &e) < 0 ? -errno : 0;
}

int views_set_irqfd(struct views *v, int fd, uint32_t gsi, int from, int to)
{
	int err;

	if (from == to)
		return 0;
	err = view_irqfd(v, from, fd, gsi, KVM_IRQFD_FLAG_DEASSIGN);
	return err ? err : view_irqfd(v, to, fd, gsi, 0);
}

int views_set_ioeventfd(struct views *v, const struct kvm_ioeventfd *e)
{
	for (unsigned i = 0; i < v->spec.nr_views; i++)
		if (ioctl(v->view[i].vm_fd, KVM_IOEVENTFD, e) < 0)
			return -errno;
	return 0;
}

void views_read_figures(const struct views *v, struct views_figures *f)
{
	*f = (struct views_figures){ .sent = { 0 } };
	for (unsigned i = 0; i < v->nr_ghosts; i++)
		for (unsigned k = 0; k < GHOST_NR_EVENTS; k++)
			f->sent[k] += atomic_load_explicit(
				&v->ghosts[i].sent[k], memory_order_relaxed);
}
