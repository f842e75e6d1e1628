/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Access to KVM's in-kernel APICs from outside the guest: registers by their
 * x2APIC MSRs, and messages (MSI) as devices send them.
 * Source: Intel SDM 3A chapter 11; Linux Documentation/virt/kvm/api.rst
 * (KVM_SIGNAL_MSI, KVM_SET_MSRS).
 */
#ifndef DISCO_MONITOR_VIEWS_APIC_H
#define DISCO_MONITOR_VIEWS_APIC_H

#include "disco/base.h"

#define APIC_MSR_ID	  0x802u
#define APIC_MSR_EOI	  0x80bu
#define APIC_MSR_SPURIOUS 0x80fu
#define APIC_MSR_IRR	  0x820u /* 8 registers of 32 vectors */
#define APIC_MSR_ICR	  0x830u

#define APIC_SPURIOUS_ON 0x1ffu /* APIC enabled, vector 255 */

/* Bits 8 to 10 of a message's data, and of the ICR. */
#define APIC_MODE_FIXED	  0x000u
#define APIC_MODE_NMI	  0x400u
#define APIC_MODE_INIT	  0x500u
#define APIC_MODE_STARTUP 0x600u

#define APIC_MSI_ADDRESS 0xfee00000u
#define APIC_ID_MAX	 254u /* 255 is all of them */

/* Return: 0; -errno; -EIO: KVM does not take the value. */
MUST_CHECK int apic_write(int vcpu_fd, uint32_t msr, uint64_t value);
MUST_CHECK int apic_read(int vcpu_fd, uint32_t msr, uint64_t *value);

/* Switch to x2APIC mode; the vCPU's CPUID has it. Return: 0; -errno. */
MUST_CHECK int apic_set_x2apic(int vcpu_fd);

/**
 * apic_send() - send a message to one APIC of a KVM VM, edge-triggered
 * @id:   of the APIC, 0 .. APIC_ID_MAX
 * @data: mode, and vector
 *
 * Context: any thread. Does not block. Return: 0, also when the APIC is off and
 * drops it; -errno.
 */
MUST_CHECK int apic_send(int vm_fd, unsigned id, uint32_t data);

/*
 * The id of the APIC that a message goes to, by its address, whose upper half
 * is ignored; above APIC_ID_MAX: several APICs, or a logical destination. Pure.
 */
unsigned apic_msi_target(uint64_t address);

#endif
