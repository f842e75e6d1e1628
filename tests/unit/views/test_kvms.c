/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The KVM VMs of a guest, one and several; KVM is played by an ioctl() of our
 * own: which VM gets which call.
 */
#include <errno.h>
#include <string.h>

#include "monitor/dev/platform/layout.h"
#include "monitor/worker/views/apic.h"
#include "monitor/worker/views/kvms.h"
#include "monitor/worker/views/view_ram.h"
#include "tests/unit/fake_ioctl.h"
#include "tests/unit/support.h"

#define KVM_FD	  100000 /* no descriptor of this process has such a number */
#define VM_FD(i)  (100100 + (int)(i))
#define VCPU_FD	  100200
#define NR_VIEWS  3
#define EVENT_FD  55
#define NR_CALLS  64
#define VIEW_1_ID 5 /* APIC of vCPU 1 */
#define ADDRESS	  (APIC_MSI_ADDRESS | VIEW_1_ID << 12)
#define IO_PIN(n) (0x10 + 2 * (n))

static struct {
	int vms;
	int fail_vm; /* its calls fail */
	struct {
		int fd;
		unsigned long request;
	} calls[NR_CALLS];
	unsigned nr_calls;
	struct kvm_userspace_memory_region slot;
	struct kvm_irqfd irqfd;
	struct kvm_irq_level level;
	struct kvm_ioeventfd ioeventfd;
	struct kvm_msi msi;
	unsigned long vcpu_id;
	struct kvm_irq_routing_entry last_route;
} kvm;

static int vm_call(unsigned long request, void *arg)
{
	const struct kvm_irq_routing *r = arg;

	switch (request) {
	case KVM_SET_USER_MEMORY_REGION:
		memcpy(&kvm.slot, arg, sizeof(kvm.slot));
		break;
	case KVM_IRQFD:
		memcpy(&kvm.irqfd, arg, sizeof(kvm.irqfd));
		break;
	case KVM_IRQ_LINE:
		memcpy(&kvm.level, arg, sizeof(kvm.level));
		break;
	case KVM_IOEVENTFD:
		memcpy(&kvm.ioeventfd, arg, sizeof(kvm.ioeventfd));
		break;
	case KVM_SIGNAL_MSI:
		memcpy(&kvm.msi, arg, sizeof(kvm.msi));
		break;
	case KVM_SET_GSI_ROUTING:
		kvm.last_route = r->entries[r->nr - 1];
		break;
	case KVM_CREATE_VCPU:
		kvm.vcpu_id = (unsigned long)arg;
		return VCPU_FD;
	default:
		break;
	}
	return 0;
}

int fake_ioctl(int fd, unsigned long request, void *arg)
{
	if (fd == KVM_FD && request == KVM_CREATE_VM)
		return VM_FD(kvm.vms++);
	/* No APICv to be switched off. */
	if (request == KVM_CHECK_EXTENSION)
		return fd == KVM_FD;
	assert_in_range(fd, VM_FD(0), VM_FD(kvm.vms - 1));
	if (fd == kvm.fail_vm) {
		errno = ENOSPC;
		return -1;
	}
	assert_true(kvm.nr_calls < NR_CALLS);
	kvm.calls[kvm.nr_calls].fd = fd;
	kvm.calls[kvm.nr_calls++].request = request;
	return vm_call(request, arg);
}

/* Calls of that kind so far, in all VMs (negative) or in one. */
static unsigned calls(unsigned long request, int fd)
{
	unsigned n = 0;

	for (unsigned i = 0; i < kvm.nr_calls; i++)
		n += kvm.calls[i].request == request &&
		     (fd < 0 || kvm.calls[i].fd == fd);
	return n;
}

/* In place of memory/replica/ram_copies.c */
uint8_t *ram_copies_base(const struct ram_copies *c, unsigned view)
{
	return (uint8_t *)(uintptr_t)c + 0x100000ul * view;
}

static struct kvms kvms;
static struct io_bus mmio;

static void make(const struct views_spec *views)
{
	memset(&kvm, 0, sizeof(kvm));
	memset(&mmio, 0, sizeof(mmio));
	kvms_init(&kvms);
	assert_int_equal(kvms_create(&kvms, KVM_FD, views), 0);
	kvm.nr_calls = 0;
	assert_int_equal(kvms_make_irqchip(&kvms, &mmio), 0);
}

static int make_one(void **state)
{
	(void)state;
	make(NULL);
	return 0;
}

/* vCPU i is real in view i. */
static int make_views(void **state)
{
	static const uint8_t home[NR_VIEWS] = { 0, 1, 2 };
	static const uint8_t ids[NR_VIEWS] = { 0, VIEW_1_ID, 9 };
	const struct views_spec s = { .kvm_fd = KVM_FD,
				      .nr_views = NR_VIEWS,
				      .nr_vcpus = NR_VIEWS,
				      .home = home,
				      .apic_ids = ids };

	(void)state;
	make(&s);
	return 0;
}

static int destroy(void **state)
{
	(void)state;
	kvms_destroy(&kvms);
	return 0;
}

/* --- one --- */

static void one_has_all_in_the_kernel(void **state)
{
	uint32_t gsi = 0;

	(void)state;
	assert_int_equal(kvms_count(&kvms), 1);
	assert_int_equal(kvms_fd(&kvms, 0), VM_FD(0));
	assert_int_equal(calls(KVM_CREATE_IRQCHIP, VM_FD(0)), 1);
	assert_int_equal(mmio.nr, 0);
	kvms_irq_line(&kvms, GSI_SERIAL, true);
	assert_true(kvm.level.irq == GSI_SERIAL && kvm.level.level == 1);
	assert_int_equal(kvms_msi_route(&kvms, EVENT_FD, &gsi, ADDRESS, 0x4041),
			 0);
	assert_int_equal(gsi, GSI_MSI_FIRST);
	assert_true(kvm.irqfd.fd == EVENT_FD && kvm.irqfd.gsi == gsi);
	assert_int_equal(kvm.last_route.u.msi.address_lo, ADDRESS);
	assert_int_equal(kvms_msi_route(&kvms, EVENT_FD, &gsi, ADDRESS, 0x42),
			 0);
	assert_int_equal(kvm.last_route.u.msi.data, 0x42);
	assert_int_equal(calls(KVM_IRQFD, -1), 1);
	assert_int_equal(calls(KVM_SIGNAL_MSI, -1), 0);
}

static void one_fails_as_kvm_does(void **state)
{
	const struct kvm_userspace_memory_region r = { .slot = 3 };
	uint32_t gsi = 0;

	(void)state;
	kvm.fail_vm = VM_FD(0);
	assert_int_equal(kvms_set_slot(&kvms, &r), -ENOSPC);
	assert_int_equal(kvms_make_vcpu(&kvms, 0, 0), -ENOSPC);
	assert_int_equal(kvms_ioeventfd(&kvms, EVENT_FD, 8, 2, true), -ENOSPC);
	assert_int_equal(kvms_msi_route(&kvms, EVENT_FD, &gsi, ADDRESS, 1),
			 -ENOSPC);
	assert_int_equal(gsi, 0);
	kvms_irq_line(&kvms, GSI_SERIAL, true); /* nobody to report to */
}

static void routes_of_one_are_bounded(void **state)
{
	(void)state;
	for (unsigned i = IOAPIC_NR_PINS; i <= VM_MAX_MSI_ROUTES; i++) {
		uint32_t gsi = 0;

		kvm.nr_calls = 0;
		assert_int_equal(
			kvms_msi_route(&kvms, EVENT_FD, &gsi, ADDRESS, i),
			i < VM_MAX_MSI_ROUTES ? 0 : -ENOSPC);
	}
}

/* --- views --- */

static void vcpus_are_made_at_home(void **state)
{
	(void)state;
	assert_int_equal(kvms_count(&kvms), NR_VIEWS);
	assert_int_equal(kvms_make_vcpu(&kvms, 1, VIEW_1_ID), VCPU_FD);
	assert_int_equal(calls(KVM_CREATE_VCPU, VM_FD(1)), 1);
	assert_int_equal(calls(KVM_CREATE_VCPU, -1), 1);
	assert_int_equal(kvm.vcpu_id, VIEW_1_ID);
}

/* RAM: one mapping for all, or each view its own. */
static void views_may_show_ram_of_their_own(void **state)
{
	const struct ram_view ram = { .hva = (uint8_t *)0x5000000,
				      .nr_slots = 2,
				      .slots = { { 0, MIB(2), 0 },
						 { GIB(4), MIB(1), MIB(2) } } };
	const struct ram_copies *c = (const struct ram_copies *)0x9000000;

	(void)state;
	assert_int_equal(view_ram_set_slots(&kvms, &ram, NULL, true), 0);
	assert_int_equal(calls(KVM_SET_USER_MEMORY_REGION, -1), 2 * NR_VIEWS);
	assert_int_equal(kvm.slot.slot, 1);
	assert_int_equal(kvm.slot.guest_phys_addr, GIB(4));
	assert_int_equal(kvm.slot.memory_size, MIB(1));
	assert_int_equal(kvm.slot.userspace_addr, 0x5000000 + MIB(2));
	assert_int_equal(view_ram_set_slots(&kvms, &ram, c, true), 0);
	assert_int_equal(calls(KVM_SET_USER_MEMORY_REGION, -1), 4 * NR_VIEWS);
	assert_int_equal(kvm.slot.userspace_addr,
			 0x9000000 + 0x100000 * (NR_VIEWS - 1) + MIB(2));
	assert_int_equal(view_ram_set_slots(&kvms, &ram, c, false), 0);
	assert_int_equal(kvm.slot.memory_size, 0);
	kvm.fail_vm = VM_FD(1);
	assert_int_equal(view_ram_set_slots(&kvms, &ram, c, true), -ENOSPC);
}

static void all_views_have_the_same_slots(void **state)
{
	struct kvm_userspace_memory_region r = { .slot = 3,
						 .memory_size = MIB(2) };

	(void)state;
	assert_int_equal(kvms_set_slot(&kvms, &r), 0);
	for (unsigned i = 0; i < NR_VIEWS; i++)
		assert_int_equal(calls(KVM_SET_USER_MEMORY_REGION, VM_FD(i)),
				 1);
	assert_int_equal(kvm.slot.memory_size, MIB(2));
	kvm.fail_vm = VM_FD(2);
	assert_int_equal(kvms_set_slot(&kvms, &r), -ENOSPC);
}

static void a_write_is_noticed_in_all_views(void **state)
{
	(void)state;
	assert_int_equal(kvms_ioeventfd(&kvms, EVENT_FD, 0xc0000000, 2, true),
			 0);
	assert_int_equal(calls(KVM_IOEVENTFD, -1), NR_VIEWS);
	assert_int_equal(kvm.ioeventfd.flags, 0);
	assert_int_equal(kvms_ioeventfd(&kvms, EVENT_FD, 0xc0000000, 2, false),
			 0);
	assert_int_equal(calls(KVM_IOEVENTFD, VM_FD(1)), 2);
	assert_int_equal(kvm.ioeventfd.flags, KVM_IOEVENTFD_FLAG_DEASSIGN);
}

static void a_message_goes_to_its_view(void **state)
{
	uint32_t gsi = 0;

	(void)state;
	assert_int_equal(kvms_msi_route(&kvms, EVENT_FD, &gsi, ADDRESS, 0x41),
			 0);
	assert_int_equal(gsi, GSI_MSI_FIRST);
	assert_int_equal(calls(KVM_SET_GSI_ROUTING, -1), NR_VIEWS);
	assert_int_equal(calls(KVM_IRQFD, VM_FD(1)), 1);
	assert_int_equal(calls(KVM_IRQFD, -1), 1);
	/* It moves with its destination. */
	assert_int_equal(kvms_msi_route(&kvms, EVENT_FD, &gsi,
					APIC_MSI_ADDRESS | 9 << 12, 0x41),
			 0);
	assert_int_equal(calls(KVM_IRQFD, VM_FD(1)), 2);
	assert_int_equal(calls(KVM_IRQFD, VM_FD(2)), 1);
}

static void put(uint32_t reg, uint32_t value)
{
	io_bus_write(&mmio, LAYOUT_IOAPIC, 4, reg);
	io_bus_write(&mmio, LAYOUT_IOAPIC + 0x10, 4, value);
}

/* By the one IOAPIC, to the view of the pin's vCPU. */
static void lines_become_messages(void **state)
{
	(void)state;
	put(IO_PIN(GSI_SERIAL) + 1, VIEW_1_ID << 24);
	put(IO_PIN(GSI_SERIAL), 0x55);
	kvms_irq_line(&kvms, GSI_SERIAL, true);
	assert_int_equal(calls(KVM_SIGNAL_MSI, VM_FD(1)), 1);
	assert_int_equal(kvm.msi.address_lo, ADDRESS);
	assert_int_equal(kvm.msi.data, 0x55);
	kvms_irq_line(&kvms, GSI_SERIAL, false);
	kvms_irq_line(&kvms, GSI_BUTTON, true); /* masked */
	assert_int_equal(calls(KVM_SIGNAL_MSI, -1), 1);
	assert_int_equal(calls(KVM_IRQ_LINE, -1), 0);
}

/* --- neither --- */

static void views_that_are_refused(void **state)
{
	const struct views_spec s = { .kvm_fd = KVM_FD };

	(void)state;
	memset(&kvm, 0, sizeof(kvm));
	kvms_init(&kvms);
	kvms_destroy(&kvms);
	kvms_init(&kvms);
	assert_int_equal(kvms_create(&kvms, KVM_FD, &s), -EINVAL);
	kvms_destroy(&kvms);
}

int main(void)
{
#define ONE(f)	 cmocka_unit_test_setup_teardown(f, make_one, destroy)
#define VIEWS(f) cmocka_unit_test_setup_teardown(f, make_views, destroy)
	const struct CMUnitTest tests[] = {
		ONE(one_has_all_in_the_kernel),
		ONE(one_fails_as_kvm_does),
		ONE(routes_of_one_are_bounded),
		VIEWS(vcpus_are_made_at_home),
		VIEWS(all_views_have_the_same_slots),
		VIEWS(views_may_show_ram_of_their_own),
		VIEWS(a_write_is_noticed_in_all_views),
		VIEWS(a_message_goes_to_its_view),
		VIEWS(lines_become_messages),
		cmocka_unit_test(views_that_are_refused),
	};

	return cmocka_run_group_tests_name("kvms", tests, NULL, NULL);
}
