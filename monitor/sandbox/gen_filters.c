/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Build-time program: writes the seccomp filters of workers and agents as C
 * arrays, made by libseccomp. Computing them in each worker would cost more CPU
 * time than the rest of its start together.
 *
 * Rule of the lists: a call stands here because a line of the code below it
 * makes it, or because the C library does for one that does. Everything else
 * kills the process (SIGSYS), which the control process reports by name.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/kvm.h>
#include <linux/userfaultfd.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "disco/worker_spec.h"

#define MAX_CALLS 48

/* A call that is allowed with this second argument only. */
struct second {
	int call;
	unsigned long value;
};

struct thread_class {
	const char *name;
	int calls[MAX_CALLS];	  /* allowed with any arguments; 0 ends */
	unsigned long ioctls[12]; /* allowed requests; 0 ends */
	struct second seconds[8]; /* .call 0 ends */
	bool kicks;		  /* send any signal to a thread */
	bool probes;		  /* ask whether a thread is ours */
	bool moves;		  /* allow_moves() */
	bool regions;		  /* allow_regions() */
	bool sockets;		  /* allow_sockets() */
	bool secure_getenv;	  /* allow_secure_getenv() */
	bool wakes;		  /* allow_wakes() */
};

/*
 * What the C library does for a thread of any class that ends: its function
 * returns, or abort() is called by an assertion, a smashed stack or a damaged
 * heap (allow_messages() and allow_signals() have the rest). Of each C library
 * that Disco is built with, tests/unit/worker/test_thread_ends.c tries it. A
 * class lists none of these calls. read(2) is number 0, so it is given apart.
 */
static const int common[] = {
	SCMP_SYS(exit),	   SCMP_SYS(exit_group),    SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(getpid),  SCMP_SYS(gettid),	    SCMP_SYS(futex),
	SCMP_SYS(madvise), /* the stack of an ending thread */
	SCMP_SYS(brk),	   /* malloc, of a message too */
	SCMP_SYS(munmap),  SCMP_SYS(clock_gettime), SCMP_SYS(restart_syscall),
};

static const struct thread_class classes[] = {
	{ .name = "vcpu",
	  .calls = { SCMP_SYS(write), /* eventfds */
		     SCMP_SYS(timerfd_settime), SCMP_SYS(epoll_ctl),
		     SCMP_SYS(rt_sigreturn) },
	  .ioctls = { KVM_RUN, KVM_IRQ_LINE, KVM_SET_GSI_ROUTING, KVM_IRQFD,
		      KVM_IOEVENTFD, KVM_GET_REGS, KVM_GET_MP_STATE,
		      KVM_KVMCLOCK_CTRL,
		      KVM_SIGNAL_MSI /* the IOAPIC of a guest with views */ },
	  .wakes = true },
	/* Sends on what arrives at an APIC of a view; enters no guest. */
	{ .name = "ghost",
	  .calls = { SCMP_SYS(write), /* eventfd: the guest cannot go on */
		     SCMP_SYS(clock_nanosleep), SCMP_SYS(rt_sigreturn) },
	  .ioctls = { KVM_RUN, KVM_SET_SIGNAL_MASK, KVM_SET_MP_STATE,
		      KVM_GET_MP_STATE, KVM_SET_REGS, KVM_GET_SREGS,
		      KVM_SET_MSRS, KVM_SIGNAL_MSI } },
	{ .name = "io",
	  .calls = { SCMP_SYS(write), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_ctl),
		     SCMP_SYS(poll), SCMP_SYS(timerfd_settime),
		     SCMP_SYS(sendto), SCMP_SYS(recvfrom), SCMP_SYS(sendmsg),
		     SCMP_SYS(recvmsg),
		     SCMP_SYS(accept4), /* the next control process */
		     /* disks: the ring, or directly where there is none */
		     SCMP_SYS(io_uring_enter), SCMP_SYS(preadv),
		     SCMP_SYS(pwritev), SCMP_SYS(pread64), SCMP_SYS(preadv2),
		     SCMP_SYS(fdatasync), SCMP_SYS(fallocate),
		     SCMP_SYS(pwrite64), /* overlays into RAM */
		     SCMP_SYS(fadvise64), SCMP_SYS(close), SCMP_SYS(getrandom),
		     SCMP_SYS(rt_sigreturn), SCMP_SYS(lseek), SCMP_SYS(fstat),
		     SCMP_SYS(newfstatat),
		     SCMP_SYS(mincore) /* io_stream.c */ },
	  .ioctls = { KVM_IRQ_LINE, KVM_SET_GSI_ROUTING, KVM_IRQFD,
		      KVM_IOEVENTFD, KVM_SET_USER_MEMORY_REGION,
		      KVM_GET_DIRTY_LOG, KVM_CLEAR_DIRTY_LOG, KVM_SIGNAL_MSI,
		      /* regions that show the buffer cache */
		      UFFDIO_REGISTER, UFFDIO_CONTINUE, UFFDIO_WAKE,
		      /* sampled pages */
		      UFFDIO_UNREGISTER },
	  .kicks = true,
	  .moves = true,
	  .regions = true },
	{ .name = "pager",
	  .calls = { SCMP_SYS(write),			  /* eventfds */
		     SCMP_SYS(poll), SCMP_SYS(pread64) }, /* bases */
	  .ioctls = { UFFDIO_COPY, UFFDIO_WAKE } },
	/* Faults at sampled pages, and which CPUs who made them is bound to. */
	{ .name = "faults",
	  .calls = { SCMP_SYS(poll), SCMP_SYS(sched_getaffinity),
		     SCMP_SYS(write) }, /* eventfd: the guest cannot go on */
	  .ioctls = { UFFDIO_UNREGISTER, UFFDIO_CONTINUE, UFFDIO_WAKE },
	  .probes = true },
	/* Faults of shared segments, and what their home wants. */
	{ .name = "segment",
	  .calls = { SCMP_SYS(write),  /* pipe of faults, standard error */
		     SCMP_SYS(mremap), /* one page in place of another */
		     SCMP_SYS(poll), SCMP_SYS(sendto),
		     SCMP_SYS(recvfrom), /* wake-ups */
		     SCMP_SYS(close), SCMP_SYS(fstat), SCMP_SYS(newfstatat) },
	  .ioctls = { UFFDIO_REGISTER, UFFDIO_WRITEPROTECT, UFFDIO_WAKE },
	  .regions = true },
	/* Copies of guest RAM: makes them, and looks for what to copy. */
	{ .name = "copies",
	  .calls = { SCMP_SYS(write), /* pipe of faults, eventfd, errors */
		     SCMP_SYS(mremap), SCMP_SYS(poll),
		     SCMP_SYS(pwrite64),   /* a copy */
		     SCMP_SYS(pread64),	   /* pagemap */
		     SCMP_SYS(move_pages), /* where they are, and to be */
		     SCMP_SYS(sendto), SCMP_SYS(recvfrom), /* wake-ups */
		     SCMP_SYS(close), SCMP_SYS(fstat), SCMP_SYS(newfstatat) },
	  .ioctls = { UFFDIO_REGISTER, UFFDIO_WRITEPROTECT, UFFDIO_WAKE },
	  .seconds = { { SCMP_SYS(fallocate),
			 FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE } },
	  .regions = true },
	/*
	 * Only it asks where pages are: that takes time for each page, and a
	 * guest waits for the I/O thread.
	 */
	{ .name = "survey",
	  .calls = { SCMP_SYS(write),			    /* an eventfd */
		     SCMP_SYS(move_pages), SCMP_SYS(lseek), /* holes of RAM */
		     SCMP_SYS(mincore),			    /* the same */
		     SCMP_SYS(pread64) } },		    /* pagemap */
	{ .name = "agent",
	  .calls = { SCMP_SYS(epoll_wait), SCMP_SYS(epoll_ctl), /* links */
		     SCMP_SYS(recvmsg), SCMP_SYS(sendmsg),	/* control */
		     SCMP_SYS(recvfrom), SCMP_SYS(sendto),	/* wake-ups */
		     SCMP_SYS(close), SCMP_SYS(move_pages),
		     SCMP_SYS(mincore), /* pages of segments */
		     SCMP_SYS(poll),	/* pages that are busy, a full ring */
		     SCMP_SYS(pread64), /* pagemap; images without a ring */
		     SCMP_SYS(pwrite64), SCMP_SYS(lseek), /* copies */
		     /* images: the ring can read, and nothing else */
		     SCMP_SYS(io_uring_enter), SCMP_SYS(fadvise64),
		     /* is it a region; fstat(3) is newfstatat(2) for some */
		     SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(fstatfs),
		     SCMP_SYS(getcpu) },
	  .seconds = { { SCMP_SYS(fcntl), F_GETFL }, /* O_DIRECT? */
		       { SCMP_SYS(fcntl), F_GET_SEALS },
		       { SCMP_SYS(fcntl), F_ADD_SEALS }, /* region_take() */
		       /* what was evicted */
		       { SCMP_SYS(fallocate),
			 FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE } } },
	/*
	 * Sockets of the host's network, of IPv4 and IPv6 (allow_sockets()), and
	 * regions of other ports, which come and go.
	 */
	{ .name = "uplink",
	  .calls = { SCMP_SYS(poll), SCMP_SYS(write), /* standard error */
		     SCMP_SYS(sendto), SCMP_SYS(recvfrom), SCMP_SYS(sendmsg),
		     SCMP_SYS(recvmsg), SCMP_SYS(connect), SCMP_SYS(bind),
		     SCMP_SYS(listen), SCMP_SYS(accept), SCMP_SYS(accept4),
		     SCMP_SYS(shutdown), SCMP_SYS(getsockopt),
		     SCMP_SYS(setsockopt), SCMP_SYS(getsockname),
		     SCMP_SYS(getpeername), SCMP_SYS(close), SCMP_SYS(writev),
		     /* is it a region; fstat(3) is newfstatat(2) for some */
		     SCMP_SYS(fstat), SCMP_SYS(newfstatat),
		     /* malloc of glib, too */
		     SCMP_SYS(mremap), SCMP_SYS(getrandom),
		     SCMP_SYS(gettimeofday), SCMP_SYS(rt_sigaction),
		     SCMP_SYS(rt_sigreturn) },
	  .ioctls = { FIONREAD, FIONBIO },
	  .seconds = { { SCMP_SYS(fcntl), F_GETFL },
		       { SCMP_SYS(fcntl), F_SETFL },
		       { SCMP_SYS(fcntl), F_GETFD },
		       { SCMP_SYS(fcntl), F_SETFD } },
	  .regions = true,
	  .sockets = true },
	/* Frames of a tap device that it has; no sockets can be made. */
	{ .name = "trunk",
	  .calls = { SCMP_SYS(poll), SCMP_SYS(write), /* standard error */
		     SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(sendto),
		     SCMP_SYS(recvfrom),		 /* wake-ups */
		     SCMP_SYS(recvmsg), SCMP_SYS(close), /* control */
		     /* is it a region; fstat(3) is newfstatat(2) for some */
		     SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(mremap) },
	  .regions = true },
	/* Takes hostile data apart, and writes what it has found. */
	{ .name = "reader",
	  .calls = { SCMP_SYS(write), SCMP_SYS(pread64), SCMP_SYS(preadv),
		     SCMP_SYS(lseek), /* holes of what is written */
		     SCMP_SYS(mremap) },
	  .secure_getenv = true },
};

/* What descriptors that control sends may take the places of. */
static const int places[] = { STDOUT_FILENO, STDERR_FILENO, WORKER_FD_CONTROL,
			      WORKER_FD_CONSOLE, WORKER_FD_BOOT };

/*
 * Text that changes node. Executable is only WORKER_FD_CODE, whose place no
 * dup3() can take: what is there was put there by the kernel, when it handed
 * over what control had sent.
 */
static int allow_moves(scmp_filter_ctx ctx)
{
	int err = seccomp_rule_add(
		ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 3,
		SCMP_A2(SCMP_CMP_MASKED_EQ, 0xffffffff, PROT_READ | PROT_EXEC),
		SCMP_A3(SCMP_CMP_MASKED_EQ, 0xffffffff,
			MAP_PRIVATE | MAP_FIXED),
		SCMP_A4(SCMP_CMP_MASKED_EQ, 0xffffffff, WORKER_FD_CODE));

	if (!err)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mbind), 1,
				       SCMP_A5(SCMP_CMP_EQ, 0));
	for (size_t i = 0; !err && i < ARRAY_SIZE(places); i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(dup3), 1,
				       SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff,
					       (scmp_datum_t)places[i]));
	return err;
}

/*
 * What libext2fs asks before it reads its environment (1.47.2 does): whether
 * this process has more rights than who started it.
 */
static int allow_secure_getenv(scmp_filter_ctx ctx)
{
	static const int calls[] = { SCMP_SYS(getuid), SCMP_SYS(geteuid),
				     SCMP_SYS(getgid), SCMP_SYS(getegid) };
	int err = seccomp_rule_add(
		ctx, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
		SCMP_A0(SCMP_CMP_MASKED_EQ, 0xffffffff, PR_GET_DUMPABLE));

	for (size_t i = 0; !err && i < ARRAY_SIZE(calls); i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], 0);
	return err;
}

/*
 * Regions that come while a guest runs: whether they can shrink is asked, and
 * that this thread alone writes is sealed. No other fcntl().
 */
static int allow_regions(scmp_filter_ctx ctx)
{
	static const int commands[] = { F_GET_SEALS, F_ADD_SEALS };
	int err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(fstatfs), 0);

	for (size_t i = 0; !err && i < ARRAY_SIZE(commands); i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
				       SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff,
					       (scmp_datum_t)commands[i]));
	return err;
}

/* No other family: neither local sockets nor the kernel's own (netlink). */
static int allow_sockets(scmp_filter_ctx ctx)
{
	static const int families[] = { AF_INET, AF_INET6 };
	int err = 0;

	for (size_t i = 0; !err && i < ARRAY_SIZE(families); i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				       SCMP_A0(SCMP_CMP_MASKED_EQ, 0xffffffff,
					       (scmp_datum_t)families[i]));
	return err;
}

/* What the C library says before it calls abort(). */
static int allow_messages(scmp_filter_ctx ctx)
{
	static const int calls[] = { SCMP_SYS(write), SCMP_SYS(writev) };
	int err = 0;

	for (size_t i = 0; !err && i < ARRAY_SIZE(calls); i++)
		err = seccomp_rule_add(
			ctx, SCMP_ACT_ALLOW, calls[i], 1,
			SCMP_A0(SCMP_CMP_MASKED_EQ, 0xffffffff, STDERR_FILENO));
	return err;
}

/*
 * Signals to threads. Which thread cannot be told by a filter, so most classes
 * can send none but abort()'s.
 */
static int allow_signals(scmp_filter_ctx ctx, const struct thread_class *c)
{
	int err;

	if (c->kicks)
		return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill),
					0);
	err = seccomp_rule_add(
		ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
		SCMP_A2(SCMP_CMP_MASKED_EQ, 0xffffffff, SIGABRT));
	if (!err && c->probes)
		err = seccomp_rule_add(
			ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
			SCMP_A2(SCMP_CMP_MASKED_EQ, 0xffffffff, 0));
	return err;
}

/*
 * A vCPU that sends a frame itself wakes the other port by one byte in a connected
 * socket (shared_wake()). It names no address, and never waits.
 */
static int allow_wakes(scmp_filter_ctx ctx)
{
	return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(sendto), 3,
				SCMP_A2(SCMP_CMP_EQ, 1),
				SCMP_A3(SCMP_CMP_MASKED_EQ, 0xffffffff,
					MSG_DONTWAIT | MSG_NOSIGNAL),
				SCMP_A4(SCMP_CMP_EQ, 0));
}

static int allow_common(scmp_filter_ctx ctx, const struct thread_class *c)
{
	int err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(read), 0);

	for (size_t i = 0; !err && i < ARRAY_SIZE(common); i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, common[i], 0);
	if (!err)
		err = allow_messages(ctx);
	return err ? err : allow_signals(ctx, c);
}

static int allow_calls(scmp_filter_ctx ctx, const struct thread_class *c)
{
	int err = allow_common(ctx, c);

	for (size_t i = 0; !err && i < MAX_CALLS && c->calls[i]; i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, c->calls[i], 0);
	for (size_t i = 0; !err && c->ioctls[i]; i++)
		err = seccomp_rule_add(
			ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
			SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff, c->ioctls[i]));
	for (size_t i = 0; !err && c->seconds[i].call; i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, c->seconds[i].call,
				       1,
				       SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff,
					       c->seconds[i].value));
	/* Memory for malloc, never code. */
	if (!err)
		err = seccomp_rule_add(
			ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
			SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (!err)
		err = seccomp_rule_add(
			ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
			SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (!err && c->moves)
		err = allow_moves(ctx);
	if (!err && c->regions)
		err = allow_regions(ctx);
	if (!err && c->sockets)
		err = allow_sockets(ctx);
	if (!err && c->secure_getenv)
		err = allow_secure_getenv(ctx);
	if (!err && c->wakes)
		err = allow_wakes(ctx);
	return err;
}

static int print_filter(scmp_filter_ctx ctx, const char *name)
{
	struct sock_filter f;
	int fd = memfd_create("filter", MFD_CLOEXEC);
	int err = fd < 0 ? -errno : seccomp_export_bpf(ctx, fd);

	if (err)
		return err;
	(void)lseek(fd, 0, SEEK_SET);
	printf("static const struct sock_filter filter_%s[] = {\n", name);
	while (read(fd, &f, sizeof(f)) == sizeof(f))
		printf("\t{ 0x%x, %u, %u, 0x%x },\n", f.code, f.jt, f.jf, f.k);
	printf("};\n");
	(void)close(fd);
	return 0;
}

int main(void)
{
	int err = 0;

	for (size_t i = 0; !err && i < ARRAY_SIZE(classes); i++) {
		scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);

		if (!ctx)
			err = -ENOMEM;
		/* A binary tree: few steps on the calls of every exit. */
		if (!err)
			err = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE,
					       2);
		if (!err)
			err = allow_calls(ctx, &classes[i]);
		if (!err)
			err = print_filter(ctx, classes[i].name);
		seccomp_release(ctx);
	}
	if (err)
		(void)fprintf(stderr, "gen_filters: libseccomp error %d\n",
			      -err);
	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}
