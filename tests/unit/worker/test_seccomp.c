/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a thread of each class may not do, tried for real: a child enters the
 * sandbox and makes the call; the kernel has to kill it with SIGSYS.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/kvm.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disco/worker_spec.h"
#include "monitor/sandbox/privileges.h"
#include "monitor/sandbox/sandbox.h"
#include "numa/atomic_ops.h"
#include "numa/region.h"
#include "tests/unit/support.h"

/* System calls by number: what the C library makes of a call is not asked. */
static void do_open(void)
{
	(void)syscall(SYS_open, "/etc/passwd", O_RDONLY);
}

static void do_openat(void)
{
	(void)syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY);
}

static void do_connect(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "/x" };

	(void)syscall(SYS_connect, 0, &a, sizeof(a));
}

static void do_socket(void)
{
	(void)syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
}

static void do_execve(void)
{
	char *argv[] = { NULL };

	(void)syscall(SYS_execve, "/bin/true", argv, argv);
}

static void do_ptrace(void)
{
	(void)syscall(SYS_ptrace, PTRACE_ATTACH, getppid(), 0, 0);
}

static void do_fork(void)
{
	(void)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

static void do_kill(void)
{
	(void)syscall(SYS_kill, 1, 0);
}

static void do_mount(void)
{
	(void)syscall(SYS_mount, "none", "/", "tmpfs", 0, NULL);
}

static void do_io_uring_setup(void)
{
	struct io_uring_params p = { 0 };

	(void)syscall(SYS_io_uring_setup, 4, &p);
}

static void do_mmap_code(void)
{
	(void)syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void do_mprotect_code(void)
{
	static char page[8192];
	uintptr_t at = ((uintptr_t)page + 4095) & ~(uintptr_t)4095;

	(void)syscall(SYS_mprotect, at, 4096, PROT_READ | PROT_EXEC);
}

static void do_tty_ioctl(void)
{
	char c = 'x';

	(void)syscall(SYS_ioctl, 0, TIOCSTI, &c);
}

static void do_create_vcpu(void)
{
	(void)syscall(SYS_ioctl, 0, KVM_CREATE_VCPU, 1);
}

static void do_process_vm_writev(void)
{
	(void)syscall(SYS_process_vm_writev, getppid(), NULL, 0, NULL, 0, 0);
}

static void do_prctl(void)
{
	(void)syscall(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static void map_code(int fd, int flags)
{
	(void)syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, flags, fd,
		      0);
}

static void do_mmap_other_file(void)
{
	map_code(WORKER_FD_RAM, MAP_PRIVATE | MAP_FIXED);
}

static void do_mmap_shared_code(void)
{
	map_code(WORKER_FD_CODE, MAP_SHARED | MAP_FIXED);
}

/* Whatever is at that number can be executed. */
static void do_dup_to_code(void)
{
	(void)syscall(SYS_dup3, 0, WORKER_FD_CODE, O_CLOEXEC);
}

/* Seals and nothing else: not a duplicate, at whatever number. */
static void do_fcntl(void)
{
	(void)syscall(SYS_fcntl, 0, F_DUPFD, WORKER_FD_CODE);
}

static const struct {
	const char *name;
	void (*call)(void);
} forbidden[] = {
	{ "fcntl(F_DUPFD)", do_fcntl },
	{ "mmap(PROT_EXEC) of a file", do_mmap_other_file },
	{ "mmap(PROT_EXEC, MAP_SHARED)", do_mmap_shared_code },
	{ "dup3(WORKER_FD_CODE)", do_dup_to_code },
	{ "open", do_open },
	{ "openat", do_openat },
	{ "connect", do_connect },
	{ "socket", do_socket },
	{ "execve", do_execve },
	{ "ptrace", do_ptrace },
	{ "fork", do_fork },
	{ "kill", do_kill },
	{ "mount", do_mount },
	{ "io_uring_setup", do_io_uring_setup },
	{ "mmap(PROT_EXEC)", do_mmap_code },
	{ "mprotect(PROT_EXEC)", do_mprotect_code },
	{ "ioctl(TIOCSTI)", do_tty_ioctl },
	{ "ioctl(KVM_CREATE_VCPU)", do_create_vcpu },
	{ "process_vm_writev", do_process_vm_writev },
	{ "prctl", do_prctl },
};

/* Wait status of a child that did it. */
static int in_child(enum sandbox_class class, void (*call)(void))
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		(void)prctl(PR_SET_DUMPABLE, 0);
		if (sandbox_drop() < 0 || sandbox_enter(class) < 0)
			_exit(99);
		call();
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void need_filters(void)
{
#ifdef DISCO_SANITIZED
	SKIP("no filters in a build with sanitizers");
#endif
}

static void expect_all_killed(enum sandbox_class class)
{
	need_filters();
	for (size_t i = 0; i < ARRAY_SIZE(forbidden); i++) {
		int status = in_child(class, forbidden[i].call);

		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
			fail_msg("%s: wait status %#x, not SIGSYS",
				 forbidden[i].name, status);
	}
}

static void expect_killed(enum sandbox_class class, void (*const calls[])(void),
			  size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		assert_int_equal(WTERMSIG(in_child(class, calls[i])), SIGSYS);
}

static void io_thread_is_killed(void **state)
{
	(void)state;
	expect_all_killed(SANDBOX_IO);
}

static void vcpu_thread_is_killed(void **state)
{
	(void)state;
	expect_all_killed(SANDBOX_VCPU);
}

static void ghost_thread_is_killed(void **state)
{
	(void)state;
	expect_all_killed(SANDBOX_GHOST);
}

static int event_fd, epoll_fd, timer_fd, pair[2], disk_fd;

static void open_descriptors(void)
{
	event_fd = eventfd(0, EFD_NONBLOCK);
	epoll_fd = epoll_create1(0);
	timer_fd = timerfd_create(CLOCK_MONOTONIC, 0);
	disk_fd = memfd_create("disk", 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
}

static void do_send(void)
{
	(void)syscall(SYS_sendto, 0, "x", 1, 0, NULL, 0);
}

static void do_move_pages(void)
{
	(void)syscall(SYS_move_pages, 0, 0, NULL, NULL, NULL, 0);
}

static void do_pread(void)
{
	char c;

	(void)syscall(SYS_pread64, 0, &c, 1, 0);
}

static void do_accept4(void)
{
	(void)syscall(SYS_accept4, 0, NULL, NULL, 0);
}

static void do_dup3(void)
{
	(void)syscall(SYS_dup3, 0, WORKER_FD_BOOT, 0);
}

static void do_mbind(void)
{
	(void)syscall(SYS_mbind, NULL, 0, 0, NULL, 0, 0);
}

static void do_memory_slot(void)
{
	(void)syscall(SYS_ioctl, -1, KVM_SET_USER_MEMORY_REGION, NULL);
}

static void do_move_code(void)
{
	map_code(WORKER_FD_CODE, MAP_PRIVATE | MAP_FIXED);
}

static void do_get_seals(void)
{
	(void)syscall(SYS_fcntl, -1, F_GET_SEALS);
}

static void do_fstatfs(void)
{
	(void)syscall(SYS_fstatfs, -1, NULL);
}

static void do_send_waiting(void)
{
	(void)syscall(SYS_sendto, -1, "x", 1, MSG_NOSIGNAL, NULL, 0);
}

static void do_send_more(void)
{
	(void)syscall(SYS_sendto, -1, "xy", 2, MSG_DONTWAIT | MSG_NOSIGNAL,
		      NULL, 0);
}

static void do_send_to(void)
{
	const struct sockaddr_un to = { .sun_family = AF_UNIX };

	(void)syscall(SYS_sendto, -1, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL, &to,
		      sizeof(to));
}

static void do_wake(void)
{
	shared_wake(pair[0]);
}

/* The bytes by which ports are woken, and no others. */
static void a_vcpu_thread_can_wake_a_port(void **state)
{
	void (*const calls[])(void) = { do_send, do_send_waiting, do_send_more,
					do_send_to };
	char bytes[2];

	(void)state;
	need_filters();
	open_descriptors();
	assert_int_equal(in_child(SANDBOX_VCPU, do_wake), 0);
	assert_int_equal(recv(pair[1], bytes, 2, MSG_DONTWAIT), 1);
	expect_killed(SANDBOX_VCPU, calls, ARRAY_SIZE(calls));
}

/* Less than the I/O thread may. */
static void vcpu_thread_has_no_files_and_sockets(void **state)
{
	void (*const calls[])(void) = {
		do_send,	do_pread,     do_accept4,   do_dup3,   do_mbind,
		do_memory_slot, do_move_code, do_get_seals, do_fstatfs
	};

	(void)state;
	need_filters();
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		assert_int_equal(WTERMSIG(in_child(SANDBOX_VCPU, calls[i])),
				 SIGSYS);
		assert_int_equal(in_child(SANDBOX_IO, calls[i]), 0);
	}
}

static void do_io_uring_register(void)
{
	(void)syscall(SYS_io_uring_register, -1, 0, NULL, 0);
}

static void do_set_flags(void)
{
	(void)syscall(SYS_fcntl, -1, F_SETFL, 0);
}

static void do_dup(void)
{
	(void)syscall(SYS_fcntl, -1, F_DUPFD_CLOEXEC, 0);
}

static void do_allocate(void)
{
	(void)syscall(SYS_fallocate, -1, 0, 0, 1);
}

static void do_write(void)
{
	(void)syscall(SYS_write, -1, "x", 1);
}

static void do_truncate(void)
{
	(void)syscall(SYS_ftruncate, -1, 0);
}

static void do_epoll_create(void)
{
	(void)syscall(SYS_epoll_create1, 0);
}

static void do_memfd_create(void)
{
	(void)syscall(SYS_memfd_create, "x", 0);
}

/* It makes nothing: memory, rings and sockets are given to it. */
static void agent_is_killed(void **state)
{
	void (*const calls[])(void) = {
		do_io_uring_register,
		do_set_flags,
		do_dup,
		do_allocate,
		do_write,
		do_truncate,
		do_epoll_create,
		do_accept4,
		do_dup3,
		do_mbind,
		do_move_code,
		do_memfd_create,
		do_memory_slot,
	};

	(void)state;
	expect_all_killed(SANDBOX_AGENT);
	expect_killed(SANDBOX_AGENT, calls, ARRAY_SIZE(calls));
}

static void do_uffd_register(void)
{
	(void)syscall(SYS_ioctl, -1, UFFDIO_REGISTER, NULL);
}

static void do_poll(void)
{
	(void)syscall(SYS_poll, NULL, 0, 0);
}

/* It reads files, and answers faults. */
static void pager_is_killed(void **state)
{
	void (*const calls[])(void) = {
		do_send,	 do_move_pages,	  do_accept4,
		do_dup3,	 do_mbind,	  do_memory_slot,
		do_move_code,	 do_get_seals,	  do_fstatfs,
		do_allocate,	 do_truncate,	  do_io_uring_register,
		do_epoll_create, do_memfd_create, do_uffd_register,
	};

	(void)state;
	expect_all_killed(SANDBOX_PAGER);
	expect_killed(SANDBOX_PAGER, calls, ARRAY_SIZE(calls));
	assert_int_equal(in_child(SANDBOX_PAGER, do_pread), 0);
	assert_int_equal(in_child(SANDBOX_PAGER, do_poll), 0);
	assert_int_equal(in_child(SANDBOX_IO, do_uffd_register), 0);
	assert_int_equal(WTERMSIG(in_child(SANDBOX_VCPU, do_uffd_register)),
			 SIGSYS);
}

static void do_uffd_copy(void)
{
	struct uffdio_copy c = { 0 };

	(void)syscall(SYS_ioctl, -1, UFFDIO_COPY, &c);
}

static void do_uffd_unregister(void)
{
	struct uffdio_range r = { 0 };

	(void)syscall(SYS_ioctl, -1, UFFDIO_UNREGISTER, &r);
}

static void do_getaffinity(void)
{
	(void)syscall(SYS_sched_getaffinity, 0, 0, NULL);
}

/* It takes traps away, and sets none: that is the I/O thread's. */
static void who_takes_sampled_faults_is_killed(void **state)
{
	void (*const calls[])(void) = {
		do_send,	 do_move_pages,	  do_accept4,
		do_dup3,	 do_mbind,	  do_memory_slot,
		do_move_code,	 do_get_seals,	  do_fstatfs,
		do_allocate,	 do_truncate,	  do_io_uring_register,
		do_epoll_create, do_memfd_create, do_uffd_register,
		do_uffd_copy,	 do_pread,
	};

	(void)state;
	expect_all_killed(SANDBOX_FAULTS);
	expect_killed(SANDBOX_FAULTS, calls, ARRAY_SIZE(calls));
	assert_int_equal(in_child(SANDBOX_FAULTS, do_poll), 0);
	assert_int_equal(in_child(SANDBOX_FAULTS, do_getaffinity), 0);
	assert_int_equal(in_child(SANDBOX_FAULTS, do_uffd_unregister), 0);
	assert_int_equal(in_child(SANDBOX_IO, do_uffd_unregister), 0);
	assert_int_equal(WTERMSIG(in_child(SANDBOX_VCPU, do_uffd_unregister)),
			 SIGSYS);
}

static void do_signal(void)
{
	(void)syscall(SYS_tgkill, 1, 1, SIGTERM);
}

static void do_probe(void)
{
	(void)syscall(SYS_tgkill, getpid(), 1, 0);
}

/* abort() apart, the I/O thread alone sends signals: it kicks vCPUs. */
static void signals_are_the_io_threads(void **state)
{
	static const enum sandbox_class others[] = {
		SANDBOX_VCPU,  SANDBOX_GHOST,	SANDBOX_PAGER,	SANDBOX_SURVEY,
		SANDBOX_AGENT, SANDBOX_SEGMENT, SANDBOX_COPIES, SANDBOX_UPLINK,
		SANDBOX_TRUNK, SANDBOX_FAULTS,	SANDBOX_READER,
	};

	(void)state;
	need_filters();
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		int probe = in_child(others[i], do_probe);

		assert_int_equal(WTERMSIG(in_child(others[i], do_signal)),
				 SIGSYS);
		assert_int_equal(WTERMSIG(probe),
				 others[i] == SANDBOX_FAULTS ? 0 : SIGSYS);
	}
	assert_int_equal(in_child(SANDBOX_IO, do_probe), 0);
}

static void do_mincore(void)
{
	uintptr_t here = (uintptr_t)&do_mincore & ~(uintptr_t)4095;
	unsigned char there;

	_exit(mincore((void *)here, 4096, &there) != 0);
}

static void do_lseek(void)
{
	(void)syscall(SYS_lseek, -1, 0, SEEK_DATA);
}

static void do_write_event(void)
{
	(void)syscall(SYS_write, -1, "x", 1);
}

/*
 * Where pages are takes time for each page: the threads that a guest waits for
 * cannot even ask.
 */
static void only_the_surveyor_asks_where_pages_are(void **state)
{
	void (*const calls[])(void) = {
		do_send,	 do_accept4,	  do_dup3,
		do_mbind,	 do_memory_slot,  do_move_code,
		do_get_seals,	 do_fstatfs,	  do_allocate,
		do_truncate,	 do_set_flags,	  do_io_uring_register,
		do_epoll_create, do_memfd_create, do_uffd_register,
	};
	void (*const needed[])(void) = { do_move_pages, do_pread, do_lseek,
					 do_mincore, do_write_event };

	(void)state;
	expect_all_killed(SANDBOX_SURVEY);
	expect_killed(SANDBOX_SURVEY, calls, ARRAY_SIZE(calls));
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		assert_int_equal(in_child(SANDBOX_SURVEY, needed[i]), 0);
	assert_int_equal(WTERMSIG(in_child(SANDBOX_IO, do_move_pages)), SIGSYS);
	assert_int_equal(WTERMSIG(in_child(SANDBOX_VCPU, do_move_pages)),
			 SIGSYS);
}

/* --- what they need does work --- */

static void check(bool ok, int code)
{
	if (!ok)
		_exit(code);
}

static void common_work(void)
{
	struct epoll_event e = { .events = EPOLLIN };
	struct itimerspec t = { .it_value.tv_nsec = 1 };
	struct timespec now;
	uint64_t one = 1;
	void *p;

	check(write(event_fd, &one, 8) == 8, 10);
	check(read(event_fd, &one, 8) == 8, 11);
	check(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, event_fd, &e) == 0, 12);
	check(epoll_ctl(epoll_fd, EPOLL_CTL_DEL, event_fd, NULL) == 0, 13);
	check(timerfd_settime(timer_fd, 0, &t, NULL) == 0, 14);
	check(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now) == 0, 15);
	p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	check(p != MAP_FAILED && munmap(p, 1 << 20) == 0, 16);
	check(ioctl(event_fd, KVM_IRQ_LINE, &one) < 0 && errno != EPERM, 17);
	/* host_report(): a device has died. */
	check(fprintf(stderr, "# %s\n", "a line from the sandbox") > 0, 18);
}

static void io_work(void)
{
	struct pollfd p = { .fd = pair[0], .events = POLLIN };
	struct epoll_event e;
	char c = 'x';

	common_work();
	check(send(pair[0], &c, 1, MSG_NOSIGNAL) == 1, 20);
	check(recv(pair[1], &c, 1, MSG_DONTWAIT) == 1, 21);
	check(poll(&p, 1, 0) == 0, 22);
	check(epoll_wait(epoll_fd, &e, 1, 0) == 0, 23);
}

static void io_direct(void)
{
	struct iovec v = { &(char[1]){ 'x' }, 1 };

	check(pwritev(disk_fd, &v, 1, 0) == 1, 30);
	check(preadv(disk_fd, &v, 1, 0) == 1, 31);
	check(pwrite(disk_fd, v.iov_base, 1, 0) == 1, 33);
	check(fdatasync(disk_fd) == 0, 32);
}

/* What is read ahead: is it cached, and its memory goes back. */
static void io_stream_work(void)
{
	unsigned char page;
	void *m = mmap(NULL, 4096, PROT_NONE, MAP_SHARED, disk_fd, 0);

	check(m != MAP_FAILED, 34);
	check(mincore(m, 4096, &page) == 0, 35);
	check(munmap(m, 4096) == 0, 36);
	m = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	check(m != MAP_FAILED, 37);
	check(madvise(m, 4096, MADV_DONTNEED) == 0, 38);
}

/* Apart from what test_agent_links.c has the agent do. */
static void agent_work(void)
{
	struct pollfd p = { .fd = pair[0], .events = POLLIN };
	struct epoll_event e = { .events = EPOLLIN };
	const int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	unsigned char there;
	uint64_t one = 1;
	char c = 'x';
	void *m;

	check(send(pair[0], &c, 1, MSG_NOSIGNAL) == 1, 60);
	check(recv(pair[1], &c, 1, MSG_DONTWAIT) == 1, 61);
	check(poll(&p, 1, 0) == 0, 62);
	check(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, event_fd, &e) == 0, 63);
	check(epoll_wait(epoll_fd, &e, 1, 0) == 0, 64);
	check(read(event_fd, &one, 8) < 0 && errno == EAGAIN, 65);
	check(pwrite(disk_fd, &c, 1, 0) == 1, 66);
	check(pread(disk_fd, &c, 1, 0) == 1, 67);
	check(posix_fadvise(disk_fd, 0, 1, POSIX_FADV_DONTNEED) == 0, 68);
	check(fallocate(disk_fd, punch, 0, 4096) == 0, 69);
	check(fcntl(disk_fd, F_GETFL) >= 0, 70);
	check(fcntl(disk_fd, F_GET_SEALS) >= 0, 71);
	m = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, disk_fd, 0);
	check(m != MAP_FAILED, 72);
	check(mincore(m, 4096, &there) == 0, 75);
	check(madvise(m, 1 << 20, MADV_NOHUGEPAGE) == 0 || errno == EINVAL, 73);
	check(munmap(m, 1 << 20) == 0, 74);
	_exit(0);
}

static void agent_calls_work(void **state)
{
	(void)state;
	open_descriptors();
	assert_int_equal(in_child(SANDBOX_AGENT, agent_work), 0);
}

static void needed_calls_work(void **state)
{
	(void)state;
	open_descriptors();
	assert_int_equal(in_child(SANDBOX_VCPU, common_work), 0);
	assert_int_equal(in_child(SANDBOX_IO, common_work), 0);
	assert_int_equal(in_child(SANDBOX_IO, io_direct), 0);
	assert_int_equal(ftruncate(disk_fd, 4096), 0);
	assert_int_equal(in_child(SANDBOX_IO, io_stream_work), 0);
}

static void io_calls_work(void **state)
{
	(void)state;
	open_descriptors();
	assert_int_equal(in_child(SANDBOX_IO, io_work), 0);
}

/* A link and an attachment that control sends: both are regions. */
static int own_fd, peer_fd;

static void take_regions(void)
{
	struct region own;
	struct region_view peer;

	check(region_take(&own, own_fd, 4096) == 0, 60);
	check(region_attach(&peer, peer_fd, 4096) == 0, 61);
	check(lseek(own_fd, 0, SEEK_DATA) == -1 && errno == ENXIO, 62);
	region_detach(&peer);
	region_destroy(&own);
}

static void regions_can_be_taken(void **state)
{
	(void)state;
	assert_int_equal(region_prepare("own", 4096, NODE_AUTO, &own_fd), 0);
	assert_int_equal(region_prepare("peer", 4096, NODE_AUTO, &peer_fd), 0);
	assert_int_equal(in_child(SANDBOX_IO, take_regions), 0);
	(void)close(own_fd);
	(void)close(peer_fd);
}

static void look_at_what_is_left(void)
{
	static const char *empty[] = { "CapInh:\t0000000000000000",
				       "CapPrm:\t0000000000000000",
				       "CapEff:\t0000000000000000",
				       "CapAmb:\t0000000000000000",
				       "NoNewPrivs:\t1" };
	static char buf[4096];
	int fd = open("/proc/self/status", O_RDONLY);

	check(privileges_drop() == 0, 39);
	check(sandbox_drop() == 0, 40);
	check(pread(fd, buf, sizeof(buf) - 1, 0) > 0, 41);
	for (int i = 0; i < (int)ARRAY_SIZE(empty); i++)
		check(strstr(buf, empty[i]) != NULL, 42 + i);
	/* Only who has CAP_SETPCAP can, and has anything to, drop there. */
	if (geteuid() == 0)
		check(strstr(buf, "CapBnd:\t0000000000000000") != NULL, 49);
	/* Landlock, where there is one: not even what all may read. */
	if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1) >= 1)
		check(open("/etc/passwd", O_RDONLY) == -1, 50);
	_exit(0);
}

static void nothing_is_left_after_drop(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		look_at_what_is_left();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(io_thread_is_killed),
		cmocka_unit_test(vcpu_thread_is_killed),
		cmocka_unit_test(ghost_thread_is_killed),
		cmocka_unit_test(vcpu_thread_has_no_files_and_sockets),
		cmocka_unit_test(a_vcpu_thread_can_wake_a_port),
		cmocka_unit_test(agent_is_killed),
		cmocka_unit_test(pager_is_killed),
		cmocka_unit_test(who_takes_sampled_faults_is_killed),
		cmocka_unit_test(signals_are_the_io_threads),
		cmocka_unit_test(only_the_surveyor_asks_where_pages_are),
		cmocka_unit_test(needed_calls_work),
		cmocka_unit_test(agent_calls_work),
		cmocka_unit_test(io_calls_work),
		cmocka_unit_test(regions_can_be_taken),
		cmocka_unit_test(nothing_is_left_after_drop),
	};

	return cmocka_run_group_tests_name("seccomp", tests, NULL, NULL);
}
