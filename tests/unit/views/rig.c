/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/views/rig.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define CPUID_ENTRIES 256
#define X2APIC	      (1u << 21) /* leaf 1, ecx */
#define RUN_FLAGS     0x202	 /* IF */
#define RAM_BYTES     MIB(1)

static int kvm_fd = -1;
static void *ram;

static void kicked(int sig)
{
	(void)sig;
}

bool rig_possible(void)
{
	struct sigaction a = { .sa_handler = kicked };
	sigset_t set;

	if (kvm_fd >= 0)
		return true;
	kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm_fd < 0)
		return false;
	assert_int_equal(sigaction(GHOST_KICK_SIGNAL, &a, NULL), 0);
	/* For rig_take(); a ghost's thread has a pending signal of its own. */
	(void)sigemptyset(&set);
	(void)sigaddset(&set, GHOST_TAKE_SIGNAL);
	assert_int_equal(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	assert_int_equal(pthread_kill(pthread_self(), GHOST_TAKE_SIGNAL), 0);
	ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(ram, MAP_FAILED);
	return true;
}

static int prepare(void *arg, int fd, unsigned index)
{
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 e[CPUID_ENTRIES];
	} *t = calloc(1, sizeof(*t));
	int err;

	(void)arg;
	(void)index;
	assert_non_null(t);
	t->head.nent = CPUID_ENTRIES;
	assert_int_equal(ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, t), 0);
	for (unsigned i = 0; i < t->head.nent; i++)
		if (t->e[i].function == 1)
			t->e[i].ecx |= X2APIC;
	views_hide_features(t->e, t->head.nent);
	err = ioctl(fd, KVM_SET_CPUID2, t) < 0 ? -errno : 0;
	free(t);
	return err;
}

static void failed(void *arg, unsigned index, int err)
{
	struct rig *r = arg;

	(void)index;
	(void)err;
	(void)atomic_fetch_add(&r->failed, 1);
}

/* KVM_RUN of a real vCPU is interrupted by the pending signal. */
static void rig_open_mask(int fd)
{
	struct {
		struct kvm_signal_mask head;
		uint8_t set[8];
	} m = { .head.len = 8 };

	assert_int_equal(ioctl(fd, KVM_SET_SIGNAL_MASK, &m), 0);
}

static void rig_make_vcpu(struct rig *r, unsigned i, size_t run_bytes)
{
	struct kvm_regs regs = { .rflags = RUN_FLAGS };
	int fd = ioctl(views_home_fd(r->views, i), KVM_CREATE_VCPU,
		       (unsigned long)RIG_ID(i));

	assert_true(fd >= 0);
	r->fds[i] = fd;
	r->runs[i] = mmap(NULL, run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
			  fd, 0);
	assert_ptr_not_equal(r->runs[i], MAP_FAILED);
	assert_int_equal(prepare(r, fd, i), 0);
	assert_int_equal(apic_set_x2apic(fd), 0);
	assert_int_equal(apic_write(fd, APIC_MSR_SPURIOUS, APIC_SPURIOUS_ON),
			 0);
	assert_int_equal(ioctl(fd, KVM_SET_REGS, &regs), 0);
	rig_open_mask(fd);
}

void rig_make(struct rig *r)
{
	uint8_t home[RIG_VCPUS], ids[RIG_VCPUS];
	struct views_spec s = { .kvm_fd = kvm_fd,
				.nr_views = RIG_VIEWS,
				.nr_vcpus = RIG_VCPUS,
				.home = home,
				.apic_ids = ids,
				.prepare = prepare,
				.failed = failed,
				.arg = r };
	struct kvm_userspace_memory_region slot = {
		.memory_size = RAM_BYTES, .userspace_addr = (uintptr_t)ram
	};
	int bytes = ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);

	*r = (struct rig){ .views = NULL };
	for (unsigned i = 0; i < RIG_VCPUS; i++) {
		home[i] = i % RIG_VIEWS;
		ids[i] = (uint8_t)RIG_ID(i);
	}
	assert_int_equal(views_create(&s, &r->views), 0);
	for (unsigned i = 0; i < RIG_VIEWS; i++)
		assert_int_equal(views_set_slot(r->views, i, &slot), 0);
	for (unsigned i = 0; i < RIG_VCPUS; i++)
		rig_make_vcpu(r, i, (size_t)bytes);
	assert_int_equal(views_make_ghosts(r->views), 0);
	assert_int_equal(views_align_tsc(r->views, r->fds), 0);
	assert_int_equal(views_start(r->views), 0);
}

void rig_destroy(struct rig *r)
{
	size_t bytes = (size_t)ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);

	views_stop(r->views);
	assert_int_equal(atomic_load(&r->failed), 0);
	for (unsigned i = 0; i < RIG_VCPUS; i++) {
		(void)munmap(r->runs[i], bytes);
		(void)close(r->fds[i]);
	}
	views_destroy(r->views);
}

void rig_send(struct rig *r, unsigned from, uint32_t dest, uint32_t data)
{
	assert_int_equal(apic_write(r->fds[from], APIC_MSR_ICR,
				    (uint64_t)dest << 32 | data),
			 0);
}

bool rig_pending(struct rig *r, unsigned at, uint8_t vector)
{
	uint64_t bits;

	assert_int_equal(
		apic_read(r->fds[at], APIC_MSR_IRR + vector / 32, &bits), 0);
	return bits >> vector % 32 & 1;
}

int rig_take(struct rig *r, unsigned at)
{
	struct kvm_mp_state run = { KVM_MP_STATE_RUNNABLE };
	struct kvm_run *k = r->runs[at];

	assert_int_equal(ioctl(r->fds[at], KVM_SET_MP_STATE, &run), 0);
	memset(&k->s.regs.events, 0, sizeof(k->s.regs.events));
	k->kvm_valid_regs = k->kvm_dirty_regs = KVM_SYNC_X86_EVENTS;
	assert_int_equal(ioctl(r->fds[at], KVM_RUN, 0), -1);
	assert_int_equal(errno, EINTR);
	if (!k->s.regs.events.interrupt.injected)
		return -1;
	assert_int_equal(apic_write(r->fds[at], APIC_MSR_EOI, 0), 0);
	return k->s.regs.events.interrupt.nr;
}

uint32_t rig_mp_state(struct rig *r, unsigned at)
{
	struct kvm_mp_state mp;

	assert_int_equal(ioctl(r->fds[at], KVM_GET_MP_STATE, &mp), 0);
	return mp.mp_state;
}

unsigned rig_nmis(struct rig *r, unsigned at)
{
	struct kvm_vcpu_events e;

	assert_int_equal(ioctl(r->fds[at], KVM_GET_VCPU_EVENTS, &e), 0);
	return e.nmi.pending;
}

uint64_t rig_sent_on(struct rig *r, enum ghost_event kind)
{
	struct views_figures f;

	views_read_figures(r->views, &f);
	return f.sent[kind];
}
