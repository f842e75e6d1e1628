/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Looks by this machine's KVM: a vCPU in real mode writes a word of one page, reads
 * another, and halts; what it wrote is found, and nothing else.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "memory/sampling/dirty_log.h"
#include "tests/unit/support.h"

#define PAGES	100u
#define CODE	0x1000u
#define WRITTEN 5u
#define READ	9u
#define MS	1000000ull

static int kvm = -1, vm = -1, vcpu = -1;
static struct ram_view ram = { .bytes = PAGES * PAGE_BYTES,
			       .nr_slots = 1,
			       .slots = { { 0, PAGES *PAGE_BYTES, 0 } } };
static struct kvm_run *run;
static struct dirty_log *the_log;
static struct sampler sampler;
static unsigned written[PAGES], nr_written;

/* mov [0x5000], ax; mov bx, [0x9000]; hlt; jmp to the first */
static const uint8_t code[] = { 0xa3, 0x00, 0x50, 0x8b, 0x1e,
				0x00, 0x90, 0xf4, 0xeb, 0xf6 };

static void found(void *arg, const struct dirty_page *p)
{
	(void)arg;
	assert_true(p->page < PAGES);
	written[p->page]++;
	nr_written++;
}

static void make_vcpu(void)
{
	struct kvm_sregs s;
	struct kvm_regs r = { .rip = CODE, .rflags = 2 };
	int bytes = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);

	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	assert_return_code(vcpu, errno);
	run = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
		   vcpu, 0);
	assert_ptr_not_equal(run, MAP_FAILED);
	assert_return_code(ioctl(vcpu, KVM_GET_SREGS, &s), errno);
	s.cs.base = s.cs.selector = 0;
	assert_return_code(ioctl(vcpu, KVM_SET_SREGS, &s), errno);
	assert_return_code(ioctl(vcpu, KVM_SET_REGS, &r), errno);
}

static void make_vm(void)
{
	struct kvm_userspace_memory_region r = { .memory_size =
							 PAGES * PAGE_BYTES };

	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0)
		SKIP("KVM_CREATE_VM: %s", strerror(errno));
	ram.hva = mmap(NULL, PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(ram.hva, MAP_FAILED);
	memcpy(ram.hva + CODE, code, sizeof(code));
	r.userspace_addr = (uintptr_t)ram.hva;
	assert_return_code(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &r), errno);
	make_vcpu();
}

static void run_once(void)
{
	assert_return_code(ioctl(vcpu, KVM_RUN, 0), errno);
	assert_int_equal(run->exit_reason, KVM_EXIT_HLT);
}

static void turn(uint64_t now_ns)
{
	assert_int_equal(dirty_log_turn(the_log, &sampler, now_ns, found, NULL),
			 0);
}

static void a_vcpus_writes_are_found(void **state)
{
	uint64_t now = 1000 * MS;

	(void)state;
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm < 0)
		SKIP("/dev/kvm: %s", strerror(errno));
	if (dirty_log_probe(kvm))
		SKIP("KVM's log lacks manual protection");
	make_vm();
	assert_int_equal(dirty_log_create(&the_log, vm, &ram), 0);
	sampler_init(&sampler, dirty_log_groups(the_log), 3);
	run_once(); /* all it touches is mapped */
	sampler_set(&sampler, 1000, 500, now);
	for (unsigned i = 1; i <= 3; i++) {
		now += 10 * MS;
		turn(now); /* both groups are looked at */
		run_once();
		now += DIRTY_LOG_WAIT_NS;
		turn(now);
		assert_int_equal(written[WRITTEN], i);
		assert_int_equal(written[READ], 0);
		assert_int_equal(nr_written, i);
	}
	/* A look at what does not run. */
	now += DIRTY_LOG_WAIT_NS;
	turn(now);
	assert_int_equal(nr_written, 3);
	/* Off: it runs on, and nothing is looked at. */
	sampler_set(&sampler, 0, 1, now);
	turn(now);
	run_once();
	assert_int_equal(nr_written, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_vcpus_writes_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
