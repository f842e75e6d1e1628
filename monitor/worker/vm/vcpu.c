/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/worker/vm/vcpu.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "monitor/sandbox/sandbox.h"
#include "monitor/worker/vm/cpu_time.h"
#include "monitor/worker/vm/vnodes.h"

#define KICK_SIGNAL	SIGUSR1
#define VCPU_STACK	KIB(128)
#define MSR_MTRR_DEF	0x2ffu
#define MTRR_WRITE_BACK 6u
#define MTRR_ENABLE	(1u << 11)

/* --- exits --- */

static uint64_t load_bytes(const uint8_t *p, unsigned len)
{
	uint64_t v = 0;

	memcpy(&v, p, len);
	return v;
}

/* String I/O repeats: @count elements of @size bytes at the same port. */
static void exit_io(struct vcpu *c)
{
	struct kvm_run *run = c->run;
	unsigned size = run->io.size;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	uint64_t v;

	for (uint32_t i = 0; i < run->io.count; i++, data += size) {
		if (run->io.direction == KVM_EXIT_IO_OUT) {
			io_bus_write(&c->vm->pio, run->io.port, size,
				     load_bytes(data, size));
			continue;
		}
		v = io_bus_read(&c->vm->pio, run->io.port, size);
		memcpy(data, &v, size);
	}
}

static void exit_mmio(struct vcpu *c)
{
	struct kvm_run *run = c->run;
	unsigned len = run->mmio.len;
	uint64_t v;

	if (len == 0 || len > sizeof(run->mmio.data))
		return;
	if (run->mmio.is_write) {
		io_bus_write(&c->vm->mmio, run->mmio.phys_addr, len,
			     load_bytes(run->mmio.data, len));
		return;
	}
	v = io_bus_read(&c->vm->mmio, run->mmio.phys_addr, len);
	memcpy(run->mmio.data, &v, sizeof(run->mmio.data));
}

static void exit_event(struct vcpu *c)
{
	switch (c->run->system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		vm_stop(c->vm, STOP_POWEROFF, "guest powered off");
		break;
	case KVM_SYSTEM_EVENT_RESET:
		vm_stop(c->vm, STOP_RESET, "guest reset");
		break;
	default:
		vm_stop(c->vm, STOP_CRASH, "system event %u",
			c->run->system_event.type);
	}
}

/* Where the guest was, for the one line about it. */
static uint64_t guest_rip(struct vcpu *c)
{
	struct kvm_regs r;

	return ioctl(c->fd, KVM_GET_REGS, &r) < 0 ? 0 : r.rip;
}

static void exit_other(struct vcpu *c)
{
	struct kvm_run *run = c->run;
	unsigned long long rip = guest_rip(c);

	switch (run->exit_reason) {
	case KVM_EXIT_SHUTDOWN:
		/* No rip: on SVM, KVM has reset the vCPU by now. */
		vm_stop(c->vm, STOP_CRASH, "guest triple fault on vCPU %u",
			c->index);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		vm_stop(c->vm, STOP_CRASH,
			"KVM cannot emulate vCPU %u at rip %#llx (suberror "
			"%u); does this host's KVM run stock guests? see "
			"'disco doctor'",
			c->index, rip, run->internal.suberror);
		break;
	case KVM_EXIT_FAIL_ENTRY:
		vm_stop(c->vm, STOP_CRASH,
			"vCPU %u cannot enter the guest at rip %#llx "
			"(hardware reason %#llx)",
			c->index, rip,
			(unsigned long long)
				run->fail_entry.hardware_entry_failure_reason);
		break;
	default:
		vm_stop(c->vm, STOP_CRASH,
			"vCPU %u: unexpected KVM exit %u at rip %#llx",
			c->index, run->exit_reason, rip);
	}
}

static void handle_exit(struct vcpu *c)
{
	switch (c->run->exit_reason) {
	case KVM_EXIT_IO:
		exit_io(c);
		break;
	case KVM_EXIT_MMIO:
		exit_mmio(c);
		break;
	case KVM_EXIT_INTR:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		break;
	case KVM_EXIT_SYSTEM_EVENT:
		exit_event(c);
		break;
	default:
		exit_other(c);
	}
}

static enum figures_exit exit_kind(uint32_t reason)
{
	switch (reason) {
	case KVM_EXIT_IO:
		return FIGURES_IO;
	case KVM_EXIT_MMIO:
		return FIGURES_MMIO;
	case KVM_EXIT_HLT:
		return FIGURES_HLT;
	case KVM_EXIT_INTR:
		return FIGURES_INTR;
	case KVM_EXIT_SHUTDOWN:
		return FIGURES_SHUTDOWN;
	case KVM_EXIT_SYSTEM_EVENT:
		return FIGURES_EVENT;
	case KVM_EXIT_INTERNAL_ERROR:
	case KVM_EXIT_FAIL_ENTRY:
		return FIGURES_ERROR;
	default:
		return FIGURES_OTHER;
	}
}

static void count_exit(struct vcpu *c, enum figures_exit why)
{
	figures_count(&c->figures->exits[why], 1);
}

static void run_failed(struct vcpu *c, int err)
{
	const char *more = "";

	/* The only memory of a guest that can go away. */
	if (err == EFAULT && c->vm->regions.nr)
		more = "; was the file of a pmem disk truncated, or is it not "
		       "readable any more?";
	vm_stop(c->vm, STOP_CRASH, "vCPU %u: KVM_RUN: %s%s", c->index,
		strerror(err), more);
}

void vcpu_wait_parked(struct vcpu *c)
{
	/*
	 * The guest's watchdogs shall not count the time. Fails for a guest
	 * that does not use kvm-clock.
	 */
	if (park_wait(&c->vm->park, &c->run->immediate_exit))
		(void)ioctl(c->fd, KVM_KVMCLOCK_CTRL, 0);
}

/* Only this thread can ask KVM, and only outside KVM_RUN. */
static enum vcpu_stand vcpu_stand_now(struct vcpu *c)
{
	struct kvm_mp_state mp;

	if (ioctl(c->fd, KVM_GET_MP_STATE, &mp) < 0)
		return VCPU_STAND_RUNS;
	switch (mp.mp_state) {
	case KVM_MP_STATE_RUNNABLE:
		return VCPU_STAND_RUNS;
	case KVM_MP_STATE_HALTED:
		return c->run->if_flag ? VCPU_STAND_IDLE : VCPU_STAND_HALTED;
	default:
		return VCPU_STAND_ABSENT;
	}
}

static void vcpu_answer_sample(struct vcpu *c)
{
	struct vcpu_sample *s = &c->sample;
	uint32_t asked = atomic_load_explicit(&s->asked, memory_order_acquire);

	if (asked == atomic_load_explicit(&s->answered, memory_order_relaxed))
		return;
	atomic_store_explicit(&s->seen, vcpu_stand_now(c),
			      memory_order_relaxed);
	/* Release: @seen before @answered; acquire in stand_collect(). */
	atomic_store_explicit(&s->answered, asked, memory_order_release);
}

static void vcpu_run_loop(struct vcpu *c)
{
	while (!vm_stopping(c->vm)) {
		int ret = ioctl(c->fd, KVM_RUN, 0);

		if (ret == 0) {
			count_exit(c, exit_kind(c->run->exit_reason));
			handle_exit(c);
			continue;
		}
		if (errno == EINTR || errno == EAGAIN) {
			count_exit(c, FIGURES_INTR);
			vcpu_wait_parked(c);
			vcpu_answer_sample(c);
			continue;
		}
		count_exit(c, FIGURES_ERROR);
		run_failed(c, errno);
	}
}

static void *vcpu_main(void *arg)
{
	struct vcpu *c = arg;
	int err;

	/* By which control finds the thread, to move it. */
	figures_set(&c->figures->thread, (uint64_t)gettid());
	err = sandbox_enter(SANDBOX_VCPU);
	if (err)
		vm_stop(c->vm, STOP_FAILED, "system call filter refused: %s",
			strerror(-err));
	if (c->index == 0)
		atomic_store_explicit(&c->vm->first_run_cpu_ns, cpu_time_ns(),
				      memory_order_relaxed);
	vcpu_run_loop(c);
	park_leave(&c->vm->park);
	return NULL;
}

/* --- life --- */

static void vcpu_kicked(int sig)
{
	(void)sig;
}

int vcpu_install_kick(void)
{
	struct sigaction a = { .sa_handler = vcpu_kicked };

	return sigaction(KICK_SIGNAL, &a, NULL) < 0 ? -errno : 0;
}

/* Memory is write-back from the start: no firmware will say so (MTRR). */
static int set_msrs(struct vcpu *c)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry e[1];
	} m = { .head.nmsrs = 1 };

	m.e[0].index = MSR_MTRR_DEF;
	m.e[0].data = MTRR_ENABLE | MTRR_WRITE_BACK;
	return ioctl(c->fd, KVM_SET_MSRS, &m) < 0 ? -errno : 0;
}

int vcpu_set_cpuid(struct vm *vm, int fd, unsigned index)
{
	cpuid_set_topology(&vm->cpuid, vnode_place(vm->spec, index),
			   vm->tsc_deadline);
	return ioctl(fd, KVM_SET_CPUID2, &vm->cpuid) < 0 ? -errno : 0;
}

int vcpu_create(struct vcpu *c, struct vm *vm, unsigned index)
{
	void *run;
	int err;

	*c = (struct vcpu){ .vm = vm,
			    .index = index,
			    .figures = &vm->figures->vcpus[index] };
	c->fd = kvms_make_vcpu(&vm->kvms, index,
			       vnode_place(vm->spec, index).apic_id);
	if (c->fd < 0)
		return c->fd;
	run = mmap(NULL, vm->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
		   c->fd, 0);
	if (run == MAP_FAILED) {
		err = -errno;
		goto undo_fd;
	}
	c->run = run;
	c->run_bytes = vm->run_bytes;
	err = vcpu_set_cpuid(vm, c->fd, index);
	if (!err)
		err = set_msrs(c);
	if (err)
		goto undo_run;
	return 0;
undo_run:
	(void)munmap(run, vm->run_bytes);
undo_fd:
	(void)close(c->fd);
	return err;
}

void vcpu_destroy(struct vcpu *c)
{
	(void)munmap(c->run, c->run_bytes);
	(void)close(c->fd);
}

/* Of a wide VM: the thread begins on its node. */
static int vcpu_set_cpus(const struct vcpu *c, pthread_attr_t *attr)
{
	unsigned long mask[(UINT16_MAX + 1) / (8 * sizeof(long))] = { 0 };
	const uint16_t *cpus = NULL;
	unsigned nr = vnode_cpus(c->vm->spec, c->index, &cpus);

	if (!nr)
		return 0;
	for (unsigned i = 0; i < nr; i++)
		CPU_SET_S(cpus[i], sizeof(mask), (cpu_set_t *)mask);
	return -pthread_attr_setaffinity_np(attr, sizeof(mask),
					    (cpu_set_t *)mask);
}

int vcpu_start(struct vcpu *c)
{
	pthread_attr_t attr;
	int err;

	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, VCPU_STACK);
	err = vcpu_set_cpus(c, &attr);
	if (!err)
		err = -pthread_create(&c->thread, &attr, vcpu_main, c);
	(void)pthread_attr_destroy(&attr);
	c->thread_made = err == 0;
	return err;
}

void vcpu_kick(struct vcpu *c)
{
	if (!c->thread_made)
		return;
	/* A signal that comes just before KVM_RUN is not lost: the flag. */
	__atomic_store_n(&c->run->immediate_exit, 1, __ATOMIC_RELAXED);
	(void)pthread_kill(c->thread, KICK_SIGNAL);
}

void vcpu_join(struct vcpu *c)
{
	if (c->thread_made)
		(void)pthread_join(c->thread, NULL);
	c->thread_made = false;
}
