/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sampled writes of a worker without a guest, whose KVM the test plays: what gets
 * into the log of samples, and which guests are left out.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "monitor/worker/sampling/writes.h"
#include "tests/unit/fake_ioctl.h"
#include "tests/unit/support.h"

#define VM_FD 77
#define PAGES 128u

static struct vm vm;
static struct worker_spec spec;
static struct writes writes;
static bool logged;
static unsigned has = 3, nr_gets;
static int get_error;

/* The guest writes pages 5 and 70, over and over. */
int fake_ioctl(int fd, unsigned long request, void *arg)
{
	struct kvm_userspace_memory_region *r = arg;
	struct kvm_dirty_log *g = arg;
	uint64_t *bits;

	assert_int_equal(fd, VM_FD);
	switch (request) {
	case KVM_CHECK_EXTENSION:
		return (int)has;
	case KVM_ENABLE_CAP:
	case KVM_CLEAR_DIRTY_LOG:
		return 0;
	case KVM_SET_USER_MEMORY_REGION:
		logged = r->flags == KVM_MEM_LOG_DIRTY_PAGES;
		return 0;
	case KVM_GET_DIRTY_LOG:
		nr_gets++;
		errno = get_error;
		if (get_error)
			return -1;
		bits = g->dirty_bitmap;
		bits[0] = 1ull << 5;
		bits[1] = 1ull << (70 - 64);
		return 0;
	default:
		fail_msg("request %lx", request);
		return -1;
	}
}

static int set_up(void **state)
{
	int fd = memfd_create("ram", MFD_CLOEXEC);

	(void)state;
	assert_return_code(ftruncate(fd, PAGES * PAGE_BYTES), errno);
	vm = (struct vm){ .spec = &spec, .kvms = { .fd = VM_FD } };
	writes = (struct writes){ .vm = NULL };
	spec = (struct worker_spec){ .sampled = WORKER_SAMPLE_WRITES };
	vm.figures = aligned_alloc(128, FIGURES_BYTES);
	memset(vm.figures, 0, FIGURES_BYTES);
	assert_int_equal(ram_view_create(&vm.ram, fd, PAGES * PAGE_BYTES), 0);
	(void)close(fd);
	logged = false;
	has = 3;
	nr_gets = 0;
	get_error = 0;
	return io_loop_init(&vm.loop);
}

static int tear_down(void **state)
{
	(void)state;
	dirty_log_destroy(writes.log);
	if (writes.log)
		(void)close(writes.timer.fd);
	(void)close(vm.loop.epoll_fd);
	ram_view_destroy(&vm.ram);
	free(vm.figures);
	return 0;
}

static void turn(void)
{
	struct epoll_event e;

	if (epoll_wait(vm.loop.epoll_fd, &e, 1, 1) == 1)
		((struct io_watch *)e.data.ptr)->ready(e.data.ptr, e.events);
}

static void set(uint32_t rate, uint32_t how)
{
	const struct worker_req_sample r = { .rate = rate,
					     .share = 500,
					     .how = how };

	writes_set(&writes, &r);
}

static uint64_t written(void)
{
	return atomic_load(&vm.figures->fault_log.written);
}

/* The line of a writes_create() that opens nothing. */
static const char *what_it_reports(void)
{
	static char text[256];
	int log = memfd_create("log", MFD_CLOEXEC), was = dup(STDERR_FILENO);
	ssize_t n;

	(void)dup2(log, STDERR_FILENO);
	assert_int_equal(writes_create(&writes, &vm), 0);
	(void)dup2(was, STDERR_FILENO);
	assert_null(writes.log);
	n = pread(log, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	(void)close(log);
	(void)close(was);
	set(1000, WORKER_SAMPLE_WRITES); /* nothing happens */
	assert_false(logged);
	return text;
}

static void writes_are_logged(void **state)
{
	uint64_t end = wait_end_ns(), next = 0, lost = 0;
	struct fault_record r;
	unsigned of[PAGES] = { 0 };

	(void)state;
	assert_int_equal(writes_create(&writes, &vm), 0);
	set(100000, WORKER_SAMPLE_WRITES);
	while (written() < 4 && clock_now_ns() < end)
		turn();
	while (fault_log_take(&vm.figures->fault_log, &next, &lost, &r)) {
		assert_int_equal(r.kind, FAULT_LOG_WRITE);
		assert_int_equal(r.vcpu, FAULT_LOG_NO_VCPU);
		assert_true(r.latency_ns >= DIRTY_LOG_WAIT_NS);
		assert_true(r.page < PAGES);
		of[r.page]++;
	}
	assert_true(of[5] > 0 && of[70] > 0);
	assert_int_equal(of[5] + of[70], written());
	assert_int_equal(
		atomic_load(&vm.figures->samples.words[FIGURES_SAMPLES_FAULTS]),
		written());
	/* Off. */
	set(0, WORKER_SAMPLE_NONE);
	assert_false(logged);
}

/* By another way than it was started for. */
static void a_request_for_faults_is_none(void **state)
{
	(void)state;
	assert_int_equal(writes_create(&writes, &vm), 0);
	set(1000, WORKER_SAMPLE_FAULTS);
	turn();
	assert_false(logged);
	set(1000, WORKER_SAMPLE_WRITES);
	while (!logged)
		turn();
	set(1000, WORKER_SAMPLE_FAULTS);
	assert_false(logged);
}

static void who_is_left_out(void **state)
{
	struct vm_region pmem = { .flags = KVM_MEM_LOG_DIRTY_PAGES };

	(void)state;
	spec.sampled = WORKER_SAMPLE_FAULTS;
	assert_string_equal(what_it_reports(), "");
	spec.sampled = WORKER_SAMPLE_WRITES;
	vm.regions.nr = 1;
	vm.regions.list[0] = &pmem;
	assert_non_null(strstr(what_it_reports(), "a pmem disk needs"));
	pmem.flags = KVM_MEM_READONLY;
	has = 0;
	assert_non_null(strstr(what_it_reports(), "(Linux 5.8)"));
	has = 3;
	assert_int_equal(writes_create(&writes, &vm), 0);
	assert_non_null(writes.log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(writes_are_logged, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_request_for_faults_is_none,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_is_left_out, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
