/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/worker/views/ghost.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "monitor/sandbox/sandbox.h"
#include "monitor/worker/views/apic.h"

#define GHOST_STACK	 KIB(128)
#define RFLAGS_FIXED	 (1u << 1)
#define RFLAGS_IF	 (1u << 9)
#define KERNEL_SIGSET	 8 /* bytes of the kernel's sigset_t */
#define CHECK_VECTOR	 0x21
#define STARTUP_MIN_NS	 100000
#define STARTUP_MAX_NS	 10000000
#define STARTUP_LIMIT_NS 1000000000
/* Wake-ups in a row without an event, until the thread pauses at each. */
#define IDLE_WAKES_MAX 16
#define IDLE_PAUSE_NS  1000000

struct taken {
	enum ghost_event kind; /* NONE, FIXED, NMI, INIT */
	uint8_t vector;	       /* FIXED */
};

/* --- calls of KVM --- */

static int ghost_set_mp(struct ghost *g, uint32_t state)
{
	struct kvm_mp_state mp = { state };

	return ioctl(g->fd, KVM_SET_MP_STATE, &mp) < 0 ? -errno : 0;
}

/* Which signals interrupt KVM_RUN: all, or all but GHOST_TAKE_SIGNAL. */
static int ghost_set_mask(struct ghost *g, bool take)
{
	struct {
		struct kvm_signal_mask head;
		uint8_t set[KERNEL_SIGSET];
	} m = { .head.len = KERNEL_SIGSET };
	sigset_t set;

	(void)sigemptyset(&set);
	if (!take)
		(void)sigaddset(&set, GHOST_TAKE_SIGNAL);
	memcpy(m.set, &set, sizeof(m.set));
	return ioctl(g->fd, KVM_SET_SIGNAL_MASK, &m) < 0 ? -errno : 0;
}

/*
 * KVM_RUN that never enters the guest. Return: 0: out again; -errno; -EPROTO:
 * an exit of the guest, though it cannot have run.
 */
static int ghost_run(struct ghost *g)
{
	if (ioctl(g->fd, KVM_RUN, 0) == 0)
		return -EPROTO;
	return errno == EINTR || errno == EAGAIN ? 0 : -errno;
}

/* APIC enabled, IF set, nothing taken; in KVM_RUN it blocks. */
static int ghost_arm(struct ghost *g)
{
	struct kvm_regs regs = { .rflags = RFLAGS_FIXED | RFLAGS_IF };
	int err;

	if (ioctl(g->fd, KVM_SET_REGS, &regs) < 0)
		return -errno;
	err = apic_write(g->fd, APIC_MSR_SPURIOUS, APIC_SPURIOUS_ON);
	return err ? err : ghost_set_mp(g, KVM_MP_STATE_UNINITIALIZED);
}

static void ghost_count(struct ghost *g, enum ghost_event kind)
{
	/* One writer: no read-modify-write is needed. */
	uint64_t n = atomic_load_explicit(&g->sent[kind], memory_order_relaxed);

	atomic_store_explicit(&g->sent[kind], n + 1, memory_order_relaxed);
}

/* To the real vCPU. That its APIC does not take it is no error. */
static int ghost_send_on(struct ghost *g, enum ghost_event kind, uint8_t vector)
{
	static const uint32_t modes[] = {
		[GHOST_FIXED] = APIC_MODE_FIXED,
		[GHOST_NMI] = APIC_MODE_NMI,
		[GHOST_INIT] = APIC_MODE_INIT,
		[GHOST_STARTUP] = APIC_MODE_STARTUP,
	};

	ghost_count(g, kind);
	return apic_send(g->spec.real_vm_fd, g->spec.apic_id,
			 modes[kind] | vector);
}

/* --- taking what has arrived --- */

/*
 * One event. kvm_run's copy of the events is written back empty first: what was
 * taken last is with the real vCPU.
 */
static int ghost_take(struct ghost *g, struct taken *t)
{
	struct kvm_run *run = g->run;
	const struct kvm_vcpu_events *e = &run->s.regs.events;
	int err;

	memset(&run->s.regs.events, 0, sizeof(run->s.regs.events));
	run->kvm_dirty_regs = KVM_SYNC_X86_EVENTS;
	run->kvm_valid_regs = KVM_SYNC_X86_EVENTS;
	err = ghost_run(g);
	*t = (struct taken){ .kind = GHOST_NONE };
	if (err)
		return err;
	if (!run->if_flag)
		t->kind = GHOST_INIT;
	else if (e->nmi.injected)
		t->kind = GHOST_NMI;
	else if (e->interrupt.injected)
		*t = (struct taken){ GHOST_FIXED, e->interrupt.nr };
	return 0;
}

/* Ready to take; ghost_end_taking() undoes it. */
static int ghost_begin_taking(struct ghost *g)
{
	int err = ghost_set_mask(g, true);

	return err ? err : ghost_set_mp(g, KVM_MP_STATE_RUNNABLE);
}

static int ghost_end_taking(struct ghost *g)
{
	int err = ghost_set_mp(g, KVM_MP_STATE_UNINITIALIZED);

	return err ? err : ghost_set_mask(g, false);
}

/*
 * Until nothing is left: so no event stays injected, which would be seen as
 * taken once more, and NMIs are unmasked. After INIT (@init) the MP state is
 * KVM's, and stays.
 */
static int ghost_take_all(struct ghost *g, bool *init, bool *any)
{
	struct taken t;
	int err = ghost_begin_taking(g);

	while (!err) {
		err = ghost_take(g, &t);
		if (err)
			break;
		if (t.kind == GHOST_NONE)
			return ghost_end_taking(g);
		if (t.kind == GHOST_INIT) {
			*init = true;
			return ghost_set_mask(g, false);
		}
		*any = true;
		err = ghost_send_on(g, t.kind, t.vector);
		if (!err && t.kind == GHOST_FIXED)
			err = apic_write(g->fd, APIC_MSR_EOI, 0);
	}
	return err;
}

/* --- INIT and start-up --- */

static void ghost_sleep(uint64_t ns)
{
	struct timespec t = { .tv_nsec = (long)ns };

	/* A kick ends it early. */
	(void)nanosleep(&t, NULL);
}

static int ghost_mp(struct ghost *g, uint32_t *state)
{
	struct kvm_mp_state mp;

	/* Accepts a start-up IPI, if one is pending. */
	if (ioctl(g->fd, KVM_GET_MP_STATE, &mp) < 0)
		return -errno;
	*state = mp.mp_state;
	return 0;
}

/* The boot processor waits for no start-up IPI. */
static int ghost_saw_init(struct ghost *g)
{
	int err = ghost_send_on(g, GHOST_INIT, 0);

	if (err)
		return err;
	if (g->spec.apic_id == 0)
		return ghost_arm(g);
	g->starts = true;
	return 0;
}

/* State STARTS ends. */
static int ghost_startup(struct ghost *g)
{
	struct kvm_sregs s;
	int err;

	if (ioctl(g->fd, KVM_GET_SREGS, &s) < 0)
		return -errno;
	err = ghost_arm(g);
	if (err)
		return err;
	return ghost_send_on(g, GHOST_STARTUP, (uint8_t)(s.cs.selector >> 8));
}

/* In state STARTS, until it ends or the thread shall stop. */
static int ghost_await_startup(struct ghost *g)
{
	uint64_t wait = STARTUP_MIN_NS, waited = 0;
	uint32_t state = 0;
	int err;

	while (!atomic_load_explicit(&g->stop, memory_order_relaxed)) {
		err = ghost_mp(g, &state);
		if (err)
			return err;
		if (state == KVM_MP_STATE_RUNNABLE) {
			g->starts = false;
			return ghost_startup(g);
		}
		if (waited >= STARTUP_LIMIT_NS) {
			g->starts = false;
			return ghost_arm(g);
		}
		ghost_sleep(wait);
		waited += wait;
		wait = min_u64(2 * wait, STARTUP_MAX_NS);
	}
	return 0;
}

/* --- the thread --- */

static int ghost_listen(struct ghost *g)
{
	bool init = false, any = false;
	int err;

	/* Not for the wait, where KVM would copy them for nothing. */
	g->run->kvm_valid_regs = g->run->kvm_dirty_regs = 0;
	err = ghost_run(g);
	if (err || atomic_load_explicit(&g->stop, memory_order_relaxed))
		return err;
	if (g->run->if_flag)
		err = ghost_take_all(g, &init, &any);
	else
		init = true;
	if (!err && init)
		return ghost_saw_init(g);
	if (err || any) {
		g->idle_wakes = 0;
		return err;
	}
	/*
	 * Start-up IPIs to a running vCPU wake it for nothing. So may what a
	 * guest does without reason (a kick by hypercall): it shall not make
	 * this thread spin.
	 */
	ghost_count(g, GHOST_NONE);
	if (++g->idle_wakes > IDLE_WAKES_MAX)
		ghost_sleep(IDLE_PAUSE_NS);
	return 0;
}

/* Is one vector taken, once, and without an entry? */
static int ghost_check(struct ghost *g)
{
	struct taken t = { .kind = GHOST_NONE };
	int err = apic_send(g->spec.vm_fd, g->spec.apic_id, CHECK_VECTOR);

	if (!err)
		err = ghost_begin_taking(g);
	if (!err)
		err = ghost_take(g, &t);
	if (!err && (t.kind != GHOST_FIXED || t.vector != CHECK_VECTOR))
		err = -ENOTSUP;
	if (!err)
		err = apic_write(g->fd, APIC_MSR_EOI, 0);
	if (!err)
		err = ghost_take(g, &t);
	if (!err && t.kind != GHOST_NONE)
		err = -ENOTSUP;
	return err ? err : ghost_end_taking(g);
}

static int ghost_enter(struct ghost *g)
{
	sigset_t set;
	int err;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, GHOST_TAKE_SIGNAL);
	err = -pthread_sigmask(SIG_BLOCK, &set, NULL);
	/* It stays pending for the life of the thread. */
	if (!err)
		err = -pthread_kill(pthread_self(), GHOST_TAKE_SIGNAL);
	if (!err)
		err = sandbox_enter(SANDBOX_GHOST);
	return err ? err : ghost_check(g);
}

static void *ghost_main(void *arg)
{
	struct ghost *g = arg;
	int err = ghost_enter(g);

	g->start_error = err;
	(void)sem_post(&g->ready);
	if (err)
		return NULL;
	while (!err && !atomic_load_explicit(&g->stop, memory_order_relaxed))
		err = g->starts ? ghost_await_startup(g) : ghost_listen(g);
	if (err)
		g->spec.failed(g->spec.arg, g->spec.index, err);
	return NULL;
}

/* --- life --- */

static int ghost_make_vcpu(struct ghost *g)
{
	void *run;

	g->fd = ioctl(g->spec.vm_fd, KVM_CREATE_VCPU,
		      (unsigned long)g->spec.apic_id);
	if (g->fd < 0)
		return -errno;
	run = mmap(NULL, g->spec.run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
		   g->fd, 0);
	if (run == MAP_FAILED)
		return -errno;
	g->run = run;
	return 0;
}

int ghost_create(struct ghost *g, const struct ghost_spec *spec)
{
	int err, regs;

	*g = (struct ghost){ .spec = *spec, .fd = -1 };
	(void)sem_init(&g->ready, 0, 0);
	regs = ioctl(spec->vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_SYNC_REGS);
	if (regs < 0 || !(regs & KVM_SYNC_X86_EVENTS))
		return -ENOTSUP;
	err = ghost_make_vcpu(g);
	if (!err)
		err = spec->prepare(spec->arg, g->fd, spec->index);
	if (!err)
		err = apic_set_x2apic(g->fd);
	if (!err)
		err = ghost_set_mask(g, false);
	return err ? err : ghost_arm(g);
}

void ghost_destroy(struct ghost *g)
{
	if (!g->spec.prepare)
		return;
	if (g->run)
		(void)munmap(g->run, g->spec.run_bytes);
	if (g->fd >= 0)
		(void)close(g->fd);
	(void)sem_destroy(&g->ready);
	*g = (struct ghost){ .fd = -1 };
}

int ghost_start(struct ghost *g)
{
	pthread_attr_t attr;
	int err;

	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, GHOST_STACK);
	err = -pthread_create(&g->thread, &attr, ghost_main, g);
	(void)pthread_attr_destroy(&attr);
	g->thread_made = err == 0;
	if (err)
		return err;
	while (sem_wait(&g->ready) < 0)
		;
	return g->start_error;
}

void ghost_stop(struct ghost *g)
{
	if (!g->thread_made)
		return;
	atomic_store_explicit(&g->stop, true, memory_order_relaxed);
	/* A signal that comes just before KVM_RUN is not lost: the flag. */
	__atomic_store_n(&g->run->immediate_exit, 1, __ATOMIC_RELAXED);
	(void)pthread_kill(g->thread, GHOST_KICK_SIGNAL);
	(void)pthread_join(g->thread, NULL);
	g->thread_made = false;
}
