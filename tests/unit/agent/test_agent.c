/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an agent computes, refuses and does; its pages are those of a child.
 * Needs one node; without NUMA calls the last ones SKIP.
 */
#include <errno.h>
#include <fcntl.h>
#include <numaif.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disco/limits.h"
#include "disco/pagemap.h"
#include "memory/lease.h"
#include "monitor/agent/placing/batch.h"
#include "monitor/agent/placing/pull.h"
#include "monitor/agent/serve.h"
#include "monitor/control/workers/move_map.h"
#include "monitor/ipc/agent_messages.h"
#include "tests/unit/support.h"

#define BOUND	20000000ull
#define WITH(n) (offsetof(struct agent_request, pull.ranges) + (n)*16)

/* --- batches --- */

static void batches_stay_within_the_bound(void **state)
{
	/* ns a page: from a fast machine to a lab that is loaded */
	static const uint64_t cost[] = { 500, 2000, 100000, 3000000, 40000000 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cost); i++) {
		unsigned n = BATCH_FIRST;

		for (unsigned k = 0; k < 20; k++)
			n = batch_next(n, n * cost[i], BOUND);
		assert_true(n >= 1 && n <= BATCH_MAX);
		if (n > 1)
			assert_true(n * cost[i] <= BOUND);
		/* and are not small without need */
		if (n < BATCH_MAX && n > 1)
			assert_true(n * cost[i] > BOUND / 8);
	}
}

static void one_page_at_least(void **state)
{
	(void)state;
	assert_int_equal(batch_next(1, UINT64_MAX / 2, BOUND), 1);
	assert_int_equal(batch_next(BATCH_MAX, UINT64_MAX / 2, 1), 1);
	assert_int_equal(batch_next(1, 0, 1), 1);
}

static void twice_as_many_at_most(void **state)
{
	(void)state;
	assert_int_equal(batch_next(16, 0, BOUND), 32);
	assert_int_equal(batch_next(BATCH_MAX, 0, BOUND), BATCH_MAX);
}

static void entries_are_told_apart(void **state)
{
	const uint64_t here = 1ull << 63, file = 1ull << 61;

	(void)state;
	assert_false(pull_wants(0, AGENT_FILE | AGENT_ANON));
	assert_false(pull_wants(1ull << 62 | file, AGENT_FILE | AGENT_ANON));
	assert_true(pull_wants(here | file, AGENT_FILE));
	assert_false(pull_wants(here | file, AGENT_ANON));
	assert_true(pull_wants(here, AGENT_ANON));
	assert_false(pull_wants(here, AGENT_FILE));
}

/* --- requests --- */

static struct agent_request good(void)
{
	return (struct agent_request){
		.kind = AGENT_PULL,
		.pull = { .what = AGENT_ANON,
			  .pid = 1,
			  .node = 0,
			  .bound_ns = BOUND,
			  .nr_ranges = 1,
			  .ranges = { { PAGE_BYTES, PAGE_BYTES } } }
	};
}

static void lengths_have_to_fit(void **state)
{
	static struct agent_request r;

	(void)state;
	r = good();
	for (size_t len = 0; len < sizeof(r) + 64; len++)
		assert_int_equal(agent_request_check(&r, len),
				 len == WITH(1) ? 0 : -EBADMSG);
	r.pull.nr_ranges = UINT32_MAX;
	for (size_t len = 0; len < sizeof(r) + 64; len++)
		assert_int_equal(agent_request_check(&r, len), -EBADMSG);
}

static void nonsense_is_refused(void **state)
{
	static const struct agent_range bad[] = {
		{ 0, 0 },
		{ 1, PAGE_BYTES },
		{ 0, 1 },
		{ UINT64_MAX & ~4095ull, 2 * PAGE_BYTES },
		{ PAGE_BYTES, UINT64_MAX & ~4095ull },
		{ 1ull << 47, PAGE_BYTES },
	};
	static struct agent_request r[8];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		r[0] = good();
		r[0].pull.ranges[0] = bad[i];
		assert_int_equal(agent_request_check(r, WITH(1)), -EINVAL);
	}
	for (size_t i = 0; i < ARRAY_SIZE(r); i++)
		r[i] = good();
	r[0].kind = 0;
	r[1].kind = AGENT_COPY; /* has no ranges */
	r[2].pull.pid = 0;
	r[3].pull.node = -1;
	r[4].pull.node = 1 << 20;
	r[5].pull.bound_ns = 0;
	r[6].pull.what = 4;
	r[7].kind = AGENT_SEGMENT_DO + 1;
	for (size_t i = 0; i < ARRAY_SIZE(r); i++)
		assert_int_equal(agent_request_check(&r[i], WITH(1)),
				 i == 1 ? -EBADMSG : -EINVAL);
}

static int check_request(const struct agent_request *r)
{
	return agent_request_check(r, agent_request_bytes(r));
}

static void cache_requests_are_checked(void **state)
{
	const uint64_t most = LEASE_MAX_BLOCKS * PAGE_BYTES;
	static struct agent_request r;

	(void)state;
	for (uint32_t kind = AGENT_STORE; kind <= AGENT_LEASES; kind++) {
		size_t len;

		r = (struct agent_request){ .kind = kind, .id = 1 };
		if (kind == AGENT_STORE)
			r.store.image_bytes = 512;
		len = agent_request_bytes(&r);
		assert_int_equal(agent_request_check(&r, len), 0);
		assert_int_equal(agent_request_check(&r, len + 8), -EBADMSG);
		assert_int_equal(agent_request_check(&r, len - 1), -EBADMSG);
		assert_int_equal(agent_request_check(&r, WITH(1)), -EBADMSG);
	}
	r = (struct agent_request){ .kind = AGENT_STORE };
	assert_int_equal(check_request(&r), -EINVAL);
	r.store.image_bytes = 513;
	assert_int_equal(check_request(&r), -EINVAL);
	r.store.image_bytes = most;
	assert_int_equal(check_request(&r), 0);
	r.store.image_bytes = most + 512;
	assert_int_equal(check_request(&r), -EINVAL);
	r = (struct agent_request){ .kind = AGENT_READER };
	r.reader.disk = VM_MAX_CACHED - 1;
	assert_int_equal(check_request(&r), 0);
	r.reader.disk = VM_MAX_CACHED;
	assert_int_equal(check_request(&r), -EINVAL);
	r = (struct agent_request){ .kind = AGENT_SYNC }; /* of no id */
	assert_int_equal(check_request(&r), -EINVAL);
}

static void placement_requests_are_checked(void **state)
{
	static struct agent_request r;

	(void)state;
	r = (struct agent_request){ .kind = AGENT_HEAT };
	assert_int_equal(check_request(&r), 0);
	r.heat.nr = AGENT_HEAT_REGIONS;
	assert_int_equal(check_request(&r), 0);
	r.heat.nr++;
	assert_int_equal(check_request(&r), -EINVAL);

	r = (struct agent_request){ .kind = AGENT_MACHINE };
	r.machine = (struct agent_req_machine){ .nr_nodes = 1,
						.source = AGENT_SOURCE_DIRTY,
						.rate = AGENT_MAX_RATE,
						.share = 1000 };
	assert_int_equal(check_request(&r), 0);
	r.machine.source++;
	assert_int_equal(check_request(&r), -EINVAL);
	r.machine.source--;
	r.machine.rate++;
	assert_int_equal(check_request(&r), -EINVAL);
	r.machine.rate--;
	r.machine.share++;
	assert_int_equal(check_request(&r), -EINVAL);

	r = (struct agent_request){ .kind = AGENT_PLACE };
	r.place = (struct agent_req_place){ .ram_pages = 1,
					    .bound_ns = 1,
					    .pid = 1,
					    .vcpu_node = AGENT_NO_NODE };
	assert_int_equal(check_request(&r), 0);
	r.place.vcpu_node = MAX_NODES - 1;
	assert_int_equal(check_request(&r), 0);
	r.place.vcpu_node = MAX_NODES;
	assert_int_equal(check_request(&r), -EINVAL);
	r.place.vcpu_node = AGENT_NO_NODE + 1;
	assert_int_equal(check_request(&r), -EINVAL);
}

/* --- maps --- */

#define RAM "7f0000000000-7f0010000000 rw-s 00000000 00:01 7  /memfd:disco-ram"

#define FIGURES "7f0000000000-7f0000003000 rw-s 0 00:01 8 /memfd:disco-figures"

static void lines_of_maps(void **state)
{
	static const char *const anon[] = {
		"7f0000000000-7f0000001000 rw-p 00000000 00:00 0 ",
		"7f0000000000-7f0000001000 rw-p 00000000 00:00 0  [heap]\n",
		"7f0000000000-7f0000001000 rw-p 0010 00:01 9 /memfd:disco-boot",
		"7f0000000000-7f0000001000 r-xp 0010 00:01 9 /memfd:disco-vm",
	};
	static const char *const none[] = {
		"",
		"x",
		"7f0000001000-7f0000000000 rw-p 00000000 00:00 0 ",
		"7f0000000000-7f0000001000 rw-s 0010 00:01 9 /memfd:disco-vm",
		"ffffffffff600000-ffffffffff601000 --xp 0 00:00 0 [vsyscall]",
		"7f0000000000-7f0000001000 r-xp 00000000 00:00 0 [vdso]",
		"7f0000000000-7f0000001000 rw-s 0 00:0d 5 anon_inode:kvm-vcpu",
		"7f0000000000-7f0000001000 rw-p 0 00:0d 5 anon_inode:[x]",
	};
	struct agent_range r;

	(void)state;
	assert_true(move_map_line(RAM " (deleted)\n", AGENT_FILE, &r));
	assert_int_equal(r.start, 0x7f0000000000);
	assert_int_equal(r.bytes, MIB(256));
	assert_false(move_map_line(RAM, AGENT_ANON, &r));
	assert_true(move_map_line(FIGURES " (deleted)\n", AGENT_FILE, &r));
	assert_int_equal(r.bytes, 3 * PAGE_BYTES);
	assert_false(move_map_line(FIGURES, AGENT_ANON, &r));
	for (size_t i = 0; i < ARRAY_SIZE(anon); i++) {
		assert_true(move_map_line(anon[i], AGENT_ANON, &r));
		assert_false(move_map_line(anon[i], AGENT_FILE, &r));
	}
	for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
		assert_false(move_map_line(none[i], AGENT_ANON, &r));
		assert_false(move_map_line(none[i], AGENT_FILE, &r));
	}
}

#define TEXT(perms, path) "7f0000000000-7f0000003000 " perms " 0 00:01 9 " path

static void lines_of_text(void **state)
{
	static const char *const none[] = {
		"",
		TEXT("rw-p", "/memfd:disco-agent (deleted)"),
		TEXT("r-xs", "/memfd:disco-agent (deleted)"),
		TEXT("r-xp", "/memfd:disco-agent2 (deleted)"),
		TEXT("r-xp", "/memfd:disco-vm (deleted)"),
		TEXT("r-xp", "/memfd:disco-agent"),
		TEXT("r-xp", "/usr/bin/disco-agent (deleted)"),
		TEXT("r-xp", "[vdso]"),
		"7f3000-7f0000 r-xp 0 00:01 9 /memfd:disco-agent (deleted)",
	};
	struct agent_range r;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(none); i++)
		assert_false(move_map_text(none[i], "disco-agent", &r));
	assert_true(move_map_text(TEXT("r--p", "/memfd:disco-agent (deleted)"),
				  "disco-agent", &r));
	assert_true(
		move_map_text(TEXT("r-xp", "/memfd:disco-agent (deleted)\n"),
			      "disco-agent", &r));
	assert_int_equal(r.start, 0x7f0000000000);
	assert_int_equal(r.bytes, 3 * PAGE_BYTES);
}

/* The maps of an agent are long: once is enough. */
static void text_is_looked_for_once(void **state)
{
	struct move_map_text known = { .pid = 0 }, other = { .pid = 0 };
	int fd = memfd_create("disco-agent", MFD_CLOEXEC);
	uint64_t pages, local;
	char *p;

	(void)state;
	if (move_pages(0, 0, NULL, NULL, NULL, 0) < 0)
		SKIP("no move_pages(2) here");
	assert_int_equal(ftruncate(fd, 3 * PAGE_BYTES), 0);
	p = mmap(NULL, 3 * PAGE_BYTES, PROT_READ, MAP_PRIVATE, fd, 0);
	assert_true(p != MAP_FAILED);
	move_map_text_pages(&known, getpid(), "disco-agent", 0, &pages, &local);
	assert_int_equal(pages, 0); /* not touched: looked for again */
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(*(volatile char *)(p + i * PAGE_BYTES), 0);
	move_map_text_pages(&known, getpid(), "disco-agent", 0, &pages, &local);
	assert_int_equal(pages, 3);
	/* It would not be found any more. */
	assert_int_equal(mprotect(p, 3 * PAGE_BYTES, PROT_READ | PROT_WRITE),
			 0);
	move_map_text_pages(&other, getpid(), "disco-agent", 0, &pages, &local);
	assert_int_equal(pages, 0);
	move_map_text_pages(&known, getpid(), "disco-agent", 0, &pages, &local);
	assert_int_equal(pages, 3);
	/* Another process has other addresses. */
	move_map_text_pages(&known, getppid(), "disco-agent", 0, &pages,
			    &local);
	assert_int_equal(pages, 0);
	(void)munmap(p, 3 * PAGE_BYTES);
	(void)close(fd);
}

static void neighbours_are_one_range(void **state)
{
	static struct agent_req_pull r;
	struct agent_range a = { 0, PAGE_BYTES };

	(void)state;
	for (; a.start < MIB(1); a.start += PAGE_BYTES)
		assert_true(move_map_add(&r, &a, 0));
	assert_int_equal(r.nr_ranges, 1);
	assert_int_equal(r.ranges[0].bytes, MIB(1));
	a.start = MIB(3);
	assert_true(move_map_add(&r, &a, MIB(2)));
	assert_int_equal(r.nr_ranges, 1);
	assert_int_equal(r.ranges[0].bytes, MIB(3) + PAGE_BYTES);
	for (a.start = MIB(6); r.nr_ranges < AGENT_MAX_RANGES;
	     a.start += MIB(3))
		assert_true(move_map_add(&r, &a, MIB(2)));
	assert_false(move_map_add(&r, &a, MIB(2)));
	assert_int_equal(r.nr_ranges, AGENT_MAX_RANGES);
	assert_int_equal(r.ranges[255].bytes, PAGE_BYTES);
}

/* @nr mappings of guest memory, with an overlay after each. */
static FILE *maps_of(unsigned nr)
{
	FILE *f = tmpfile();

	assert_non_null(f);
	for (uint64_t i = 0; i < nr; i++)
		fprintf(f,
			"%llx-%llx rw-s 0 00:01 7 /memfd:disco-ram (deleted)\n"
			"%llx-%llx rw-p 0 00:01 8 /memfd:disco-cache "
			"(deleted)\n",
			GIB(4) + i * 0x3000ull, GIB(4) + i * 0x3000ull + 0x1000,
			GIB(4) + i * 0x3000ull + 0x1000,
			GIB(4) + i * 0x3000ull + 0x3000);
	rewind(f);
	return f;
}

static void many_mappings_are_many_requests(void **state)
{
	static struct agent_req_pull r = { .what = AGENT_FILE };
	FILE *f = maps_of(600);
	uint64_t from = 0, seen = 0;
	int more = 1;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		rewind(f);
		assert_int_equal(more, 1);
		more = move_map_fill(&r, f, from);
		seen += r.nr_ranges;
		from = r.ranges[r.nr_ranges - 1].start +
		       r.ranges[r.nr_ranges - 1].bytes;
	}
	assert_int_equal(more, 0);
	assert_int_equal(seen, 600);
	rewind(f);
	r.what = AGENT_ANON;
	assert_int_equal(move_map_fill(&r, f, 0), 0);
	assert_int_equal(r.nr_ranges, 1);
	(void)fclose(f);
}

/* --- for real --- */

static pthread_t thread;
static int sock, result;

static void *serve(void *arg)
{
	struct agent_server *a;

	result = agent_create(*(int *)arg, &a);
	if (!result) {
		result = agent_serve(a);
		agent_destroy(a);
	}
	(void)close(*(int *)arg);
	return NULL;
}

static int start(void **state)
{
	static int theirs;
	int pair[2];

	(void)state;
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	sock = pair[0];
	theirs = pair[1];
	assert_int_equal(pthread_create(&thread, NULL, serve, &theirs), 0);
	return 0;
}

static int end(void **state)
{
	(void)state;
	(void)close(sock);
	return pthread_join(thread, NULL);
}

static void stalls_are_counted_by_length(void **state)
{
	struct stall_hist h = { .sum_ns = 0 }, all = { .sum_ns = 0 };

	(void)state;
	stall_hist_note(&h, 0);
	stall_hist_note(&h, 1 << 14);
	stall_hist_note(&h, (1 << 14) + 1);
	stall_hist_note(&h, stall_bound_ns(STALL_BUCKETS - 2));
	stall_hist_note(&h, UINT64_MAX);
	assert_int_equal(h.counts[0], 2);
	assert_int_equal(h.counts[1], 1);
	assert_int_equal(h.counts[STALL_BUCKETS - 2], 1);
	assert_int_equal(h.counts[STALL_BUCKETS - 1], 1);
	assert_int_equal(h.sum_ns, STALL_MAX);
	/* What an agent says may be anything. */
	memset(&h, 0xff, sizeof(h));
	stall_hist_merge(&all, &h);
	stall_hist_merge(&all, &h);
	for (unsigned i = 0; i < STALL_BUCKETS; i++)
		assert_int_equal(all.counts[i], STALL_MAX);
	assert_int_equal(all.sum_ns, STALL_MAX);
}

static struct agent_ans_done ask(struct agent_request *r, const int *fds,
				 unsigned nr)
{
	struct agent_answer a = { .kind = 0 };

	r->id++;
	assert_int_equal(fds_send(sock, r, agent_request_bytes(r), fds, nr,
				  MSG_DONTWAIT),
			 0);
	while (a.kind != AGENT_DONE) {
		assert_true(wait_readable(sock));
		assert_int_equal(agent_answer_receive(sock, &a), 0);
		assert_int_equal(a.id, r->id);
	}
	return a.done;
}

static void pages_of_a_process(void **state)
{
	const size_t bytes = 3000 * PAGE_BYTES;
	char *p = mmap(NULL, 2 * bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	static struct agent_request r;
	struct agent_ans_done a;
	uint64_t stalls = 0;
	char path[64];
	pid_t pid;
	int fd;

	(void)state;
	if (move_pages(0, 0, NULL, NULL, NULL, 0) < 0)
		SKIP("no move_pages(2) here");
	assert_true(p != MAP_FAILED);
	pid = fork();
	if (pid == 0) {
		memset(p, 'x', bytes); /* the other half stays untouched */
		(void)kill(getpid(), SIGSTOP);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, NULL, WUNTRACED), pid);
	(void)snprintf(path, sizeof(path), "/proc/%d/pagemap", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	r = good();
	r.pull.pid = pid;
	r.pull.ranges[0] = (struct agent_range){ (uintptr_t)p, 2 * bytes };
	a = ask(&r, &fd, 1);
	assert_int_equal(a.error, 0);
	assert_int_equal(a.pulled.pages, 3000);
	assert_int_equal(a.pulled.failed, 0);
	assert_true(a.pulled.batches > 3 && a.pulled.batches < 300);
	assert_true(a.pulled.longest_ns > 0 &&
		    a.pulled.longest_ns <= a.pulled.total_ns);
	assert_int_equal(a.pulled.stalls.sum_ns, a.pulled.total_ns);
	for (unsigned i = 0; i < STALL_BUCKETS; i++)
		stalls += a.pulled.stalls.counts[i];
	assert_int_equal(stalls, a.pulled.batches);
	r.pull.what = AGENT_FILE;
	assert_int_equal(ask(&r, &fd, 1).pulled.pages, 0);
	r.pull.what = AGENT_ANON;
	r.pull.node = 1000;
	assert_true(ask(&r, &fd, 1).error != 0);
	/* No descriptor; a process that is gone. */
	r.pull.node = 0;
	assert_int_equal(ask(&r, NULL, 0).error, EBADF);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	assert_int_equal(ask(&r, &fd, 1).error, ESRCH);
	(void)close(fd);
	(void)munmap(p, 2 * bytes);
}

/* A pagemap that is made up: who migrates pages, and when the pages are back. */
struct made_up_map {
	int fd;
	uint64_t first, nr, back; /* pages; how many of them come back */
	unsigned told;
};

static void made_up_set(const struct made_up_map *m, uint64_t page, uint64_t e)
{
	assert_int_equal(pwrite(m->fd, &e, sizeof(e),
				(off_t)((m->first + page) * sizeof(e))),
			 sizeof(e));
}

/* The second range is scanned: some are back, and one of them is freed. */
static int come_back(void *arg, const struct agent_pulled *pulled)
{
	struct made_up_map *m = arg;

	(void)pulled;
	if (++m->told == 2) {
		for (uint64_t i = 0; i < m->back; i++)
			made_up_set(m, i, PM_PRESENT | PM_FILE);
		made_up_set(m, 0, 0);
	}
	return 0;
}

/* As the kernel does when it gathers small pages to have a huge one. */
static void pages_that_others_migrate(void **state)
{
	const uint64_t nr = 40, back = 28;
	char *p = mmap(NULL, nr * PAGE_BYTES, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct made_up_map m = { .fd = memfd_create("pagemap", MFD_CLOEXEC),
				 .first = (uintptr_t)p / PAGE_BYTES,
				 .nr = nr,
				 .back = back };
	static struct agent_request r;
	struct agent_pulled pulled;

	(void)state;
	if (move_pages(0, 0, NULL, NULL, NULL, 0) < 0)
		SKIP("no move_pages(2) here");
	assert_true(p != MAP_FAILED);
	memset(p, 'x', nr * PAGE_BYTES);
	for (uint64_t i = 0; i < nr; i++)
		made_up_set(&m, i, PM_SWAP | PM_FILE);
	r = good();
	r.pull.what = AGENT_FILE;
	r.pull.pid = getpid();
	r.pull.nr_ranges = 2;
	r.pull.ranges[0] =
		(struct agent_range){ (uintptr_t)p, 32 * PAGE_BYTES };
	r.pull.ranges[1] = (struct agent_range){ (uintptr_t)p + 32 * PAGE_BYTES,
						 8 * PAGE_BYTES };
	assert_int_equal(pull(&r.pull, m.fd, NULL, &pulled, come_back, &m), 0);
	assert_int_equal(pulled.pages, back - 1);
	assert_int_equal(pulled.failed, nr - back);
	(void)close(m.fd);
	(void)munmap(p, nr * PAGE_BYTES);
}

static void sparse_copies(void **state)
{
	struct agent_request r = { .kind = AGENT_COPY };
	int from = memfd_create("from", MFD_CLOEXEC);
	int to = memfd_create("to", MFD_CLOEXEC);
	int fds[2] = { from, to };
	char c = 0;

	(void)state;
	assert_int_equal(ftruncate(from, (off_t)GIB(1)), 0);
	assert_int_equal(ftruncate(to, (off_t)GIB(1)), 0);
	assert_int_equal(pwrite(from, "a", 1, MIB(1)), 1);
	assert_int_equal(pwrite(from, "b", 1, GIB(1) - 1), 1);
	assert_int_equal(ask(&r, fds, 2).error, 0);
	assert_int_equal(pread(to, &c, 1, MIB(1)), 1);
	assert_int_equal(c, 'a');
	assert_int_equal(pread(to, &c, 1, GIB(1) - 1), 1);
	assert_int_equal(c, 'b');
	assert_int_equal(lseek(to, MIB(2), SEEK_DATA), GIB(1) - PAGE_BYTES);
	assert_int_equal(ask(&r, fds, 1).error, EBADF);
	(void)close(from);
	(void)close(to);
}

static void nonsense_ends_it(void **state)
{
	char c;

	(void)state;
	assert_int_equal(send(sock, "nonsense", 8, 0), 8);
	assert_int_equal(recv(sock, &c, 1, 0), 0);
	(void)pthread_join(thread, NULL);
	assert_int_equal(result, -EBADMSG);
	(void)close(sock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(batches_stay_within_the_bound),
		cmocka_unit_test(stalls_are_counted_by_length),
		cmocka_unit_test(one_page_at_least),
		cmocka_unit_test(twice_as_many_at_most),
		cmocka_unit_test(entries_are_told_apart),
		cmocka_unit_test(lengths_have_to_fit),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(placement_requests_are_checked),
		cmocka_unit_test(cache_requests_are_checked),
		cmocka_unit_test(lines_of_maps),
		cmocka_unit_test(lines_of_text),
		cmocka_unit_test(text_is_looked_for_once),
		cmocka_unit_test(neighbours_are_one_range),
		cmocka_unit_test(many_mappings_are_many_requests),
		cmocka_unit_test_setup_teardown(pages_of_a_process, start, end),
		cmocka_unit_test(pages_that_others_migrate),
		cmocka_unit_test_setup_teardown(sparse_copies, start, end),
		cmocka_unit_test_setup_teardown(nonsense_ends_it, start, NULL),
	};

	return cmocka_run_group_tests_name("agent", tests, NULL, NULL);
}
