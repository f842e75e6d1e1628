/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/worker/vm/pause.h"

#include <sys/ioctl.h>

#include "cowdisk/dax/pager.h"
#include "monitor/worker/vm/vcpu.h"
#include "monitor/worker/vm/vm.h"

void park_init(struct park *p)
{
	*p = (struct park){ .reasons = 0 };
	(void)pthread_mutex_init(&p->lock, NULL);
	(void)pthread_cond_init(&p->changed, NULL);
}

void park_destroy(struct park *p)
{
	(void)pthread_cond_destroy(&p->changed);
	(void)pthread_mutex_destroy(&p->lock);
}

void vm_hurry(struct vm *vm, bool on)
{
	if (vm->pager)
		pager_hurry(vm->pager, on);
}

void vm_park(struct vm *vm, uint32_t reason)
{
	struct park *p = &vm->park;

	vm_hurry(vm, true);
	(void)pthread_mutex_lock(&p->lock);
	p->reasons |= reason;
	for (unsigned i = 0; i < vm->nr_vcpus; i++)
		vcpu_kick(&vm->vcpus[i]);
	while (p->nr_out < vm->nr_vcpus)
		(void)pthread_cond_wait(&p->changed, &p->lock);
	(void)pthread_mutex_unlock(&p->lock);
	vm_hurry(vm, false);
}

void vm_unpark(struct vm *vm, uint32_t reason)
{
	struct park *p = &vm->park;

	(void)pthread_mutex_lock(&p->lock);
	p->reasons &= ~reason;
	if (!p->reasons)
		(void)pthread_cond_broadcast(&p->changed);
	(void)pthread_mutex_unlock(&p->lock);
}

uint32_t vm_parked(struct vm *vm)
{
	uint32_t reasons;

	(void)pthread_mutex_lock(&vm->park.lock);
	reasons = vm->park.reasons;
	(void)pthread_mutex_unlock(&vm->park.lock);
	return reasons;
}

void vcpu_wait_parked(struct vcpu *c)
{
	struct park *p = &c->vm->park;
	bool waited = false;

	(void)pthread_mutex_lock(&p->lock);
	p->nr_out++;
	(void)pthread_cond_broadcast(&p->changed);
	while (p->reasons) {
		waited = true;
		(void)pthread_cond_wait(&p->changed, &p->lock);
	}
	p->nr_out--;
	/*
	 * Under the lock: whoever sets a reason, or ends the VM (vm_join()
	 * unparks first), kicks after this, or we see it before KVM_RUN.
	 */
	__atomic_store_n(&c->run->immediate_exit, 0, __ATOMIC_RELAXED);
	(void)pthread_mutex_unlock(&p->lock);
	/* The guest's watchdogs shall not count the time. Fails for a guest
	 * that does not use kvm-clock. */
	if (waited)
		(void)ioctl(c->fd, KVM_KVMCLOCK_CTRL, 0);
}

void vcpu_leave_parked(struct vcpu *c)
{
	struct park *p = &c->vm->park;

	(void)pthread_mutex_lock(&p->lock);
	p->nr_out++;
	(void)pthread_cond_broadcast(&p->changed);
	(void)pthread_mutex_unlock(&p->lock);
}
