/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/worker/vm/pause.h"

#include <errno.h>
#include <time.h>

#include "disco/clock.h"

void park_init(struct park *p)
{
	pthread_condattr_t attr;

	*p = (struct park){ .reasons = 0 };
	(void)pthread_mutex_init(&p->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&p->changed, &attr);
	(void)pthread_condattr_destroy(&attr);
}

void park_destroy(struct park *p)
{
	(void)pthread_cond_destroy(&p->changed);
	(void)pthread_mutex_destroy(&p->lock);
}

/* With the lock. Return: something changed; else the time is up. */
static bool park_changed(struct park *p)
{
	uint64_t at = clock_now_ns() + PARK_STUCK_MS * 1000000ull;
	const struct timespec until = {
		.tv_sec = (time_t)(at / 1000000000u),
		.tv_nsec = (long)(at % 1000000000u),
	};

	return pthread_cond_timedwait(&p->changed, &p->lock, &until) !=
	       ETIMEDOUT;
}

void park_begin(struct park *p, uint32_t reason, unsigned nr,
		void (*kick)(void *arg), void (*stuck)(void *arg), void *arg)
{
	(void)pthread_mutex_lock(&p->lock);
	p->reasons |= reason;
	kick(arg);
	while (p->nr_out < nr) {
		if (park_changed(p))
			continue;
		(void)pthread_mutex_unlock(&p->lock);
		stuck(arg);
		(void)pthread_mutex_lock(&p->lock);
	}
	(void)pthread_mutex_unlock(&p->lock);
}

void park_end(struct park *p, uint32_t reason)
{
	(void)pthread_mutex_lock(&p->lock);
	p->reasons &= ~reason;
	if (!p->reasons)
		(void)pthread_cond_broadcast(&p->changed);
	(void)pthread_mutex_unlock(&p->lock);
}

uint32_t park_reasons(struct park *p)
{
	uint32_t reasons;

	(void)pthread_mutex_lock(&p->lock);
	reasons = p->reasons;
	(void)pthread_mutex_unlock(&p->lock);
	return reasons;
}

bool park_wait(struct park *p, uint8_t *immediate_exit)
{
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
	__atomic_store_n(immediate_exit, 0, __ATOMIC_RELAXED);
	(void)pthread_mutex_unlock(&p->lock);
	return waited;
}

void park_leave(struct park *p)
{
	(void)pthread_mutex_lock(&p->lock);
	p->nr_out++;
	(void)pthread_cond_broadcast(&p->changed);
	(void)pthread_mutex_unlock(&p->lock);
}
