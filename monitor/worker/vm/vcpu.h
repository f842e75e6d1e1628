/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One vCPU: its KVM descriptor, its thread, its exits.
 */
#ifndef DISCO_MONITOR_VCPU_H
#define DISCO_MONITOR_VCPU_H

#include "monitor/worker/vm/vm.h"

/* Return: 0; -errno. After an error, too, the caller calls vcpu_destroy(). */
MUST_CHECK int vcpu_create(struct vcpu *c, struct vm *vm, unsigned index);
void vcpu_destroy(struct vcpu *c);

/*
 * Give @fd, vCPU @index or a ghost of it, its CPUID. Context: start of the
 * worker. Return: 0; -errno of KVM.
 */
MUST_CHECK int vcpu_set_cpuid(struct vm *vm, int fd, unsigned index);

/* Run on a thread of its own until vm_stopping(). Return: 0; -errno. */
MUST_CHECK int vcpu_start(struct vcpu *c);

/*
 * Make the vCPU leave KVM_RUN soon. Context: any thread; the vCPU's thread
 * exists.
 */
void vcpu_kick(struct vcpu *c);
void vcpu_join(struct vcpu *c);

/*
 * KVM_RUN was interrupted: wait while the guest is parked. Context: the vCPU's
 * thread.
 */
void vcpu_wait_parked(struct vcpu *c);

/* Install the signal that interrupts KVM_RUN; its handler does nothing. */
MUST_CHECK int vcpu_install_kick(void);

#endif
