/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Views of a guest without code: vCPU i is real in view i % VIEWS, and none
 * runs. A test writes the ICR of a real vCPU from outside, as the guest would,
 * and takes what arrives at another one. So these tests need a KVM, but none
 * that runs stock guests.
 */
#ifndef TESTS_UNIT_VIEWS_RIG_H
#define TESTS_UNIT_VIEWS_RIG_H

#include "monitor/worker/views/apic.h"
#include "monitor/worker/views/views.h"
#include "tests/unit/support.h"

#define RIG_VIEWS 2
#define RIG_VCPUS 5 /* 0, 2 and 4 in view 0; 1 and 3 in view 1 */
/* APIC id of a vCPU: there are gaps, as between packages. */
#define RIG_ID(i) ((i) + (i) / 3)

struct rig {
	struct views *views;
	int fds[RIG_VCPUS]; /* of the real vCPUs */
	struct kvm_run *runs[RIG_VCPUS];
	_Atomic int failed; /* ghosts that gave up */
};

/* False, and the test is skipped, where there is no KVM. */
bool rig_possible(void);
void rig_make(struct rig *r);
void rig_destroy(struct rig *r);

/* Write vCPU @from's ICR; @dest as in the upper half of the ICR. */
void rig_send(struct rig *r, unsigned from, uint32_t dest, uint32_t data);

/* Is @vector requested at vCPU @at? */
bool rig_pending(struct rig *r, unsigned at, uint8_t vector);

/*
 * Take the highest vector at vCPU @at and end it, as the vCPU would by running;
 * negative: there is none.
 */
int rig_take(struct rig *r, unsigned at);

uint32_t rig_mp_state(struct rig *r, unsigned at);
unsigned rig_nmis(struct rig *r, unsigned at);
uint64_t rig_sent_on(struct rig *r, enum ghost_event kind);

#endif
