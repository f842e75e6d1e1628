/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/worker/views/apic.h"

#include <errno.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>

#define APIC_BASE_ENABLE (1u << 11)
#define APIC_BASE_X2APIC (1u << 10)
#define MSI_LOGICAL	 (1u << 2)
#define MSI_DEST_SHIFT	 12
#define MSI_DEST_MASK	 0xffu

struct one_msr {
	struct kvm_msrs head;
	struct kvm_msr_entry e[1];
};

/* Both return the number of registers that were done. */
int apic_write(int vcpu_fd, uint32_t msr, uint64_t value)
{
	struct one_msr m = { .head.nmsrs = 1 };
	int n;

	m.e[0].index = msr;
	m.e[0].data = value;
	n = ioctl(vcpu_fd, KVM_SET_MSRS, &m);
	if (n < 0)
		return -errno;
	return n == 1 ? 0 : -EIO;
}

int apic_read(int vcpu_fd, uint32_t msr, uint64_t *value)
{
	struct one_msr m = { .head.nmsrs = 1 };
	int n;

	m.e[0].index = msr;
	n = ioctl(vcpu_fd, KVM_GET_MSRS, &m);
	if (n < 0)
		return -errno;
	if (n != 1)
		return -EIO;
	*value = m.e[0].data;
	return 0;
}

int apic_set_x2apic(int vcpu_fd)
{
	struct kvm_sregs s;

	if (ioctl(vcpu_fd, KVM_GET_SREGS, &s) < 0)
		return -errno;
	s.apic_base |= APIC_BASE_ENABLE | APIC_BASE_X2APIC;
	return ioctl(vcpu_fd, KVM_SET_SREGS, &s) < 0 ? -errno : 0;
}

int apic_send(int vm_fd, unsigned id, uint32_t data)
{
	struct kvm_msi m = { .address_lo = APIC_MSI_ADDRESS |
					   id << MSI_DEST_SHIFT,
			     .data = data };

	return ioctl(vm_fd, KVM_SIGNAL_MSI, &m) < 0 ? -errno : 0;
}

unsigned apic_msi_target(uint64_t address)
{
	if (address & MSI_LOGICAL)
		return APIC_ID_MAX + 1;
	return (unsigned)(address >> MSI_DEST_SHIFT) & MSI_DEST_MASK;
}
