/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An agent as the home of a segment, and holders as workers have them, with
 * views that the kernel protects. Control is this test; "nodes" are two memfds.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "memory/placement/policies.h"
#include "memory/replica/replica_proto.h"
#include "monitor/agent/serve.h"
#include "monitor/ipc/agent_messages.h"
#include "monitor/ipc/fds.h"
#include "monitor/worker/shm/shm_holder.h"
#include "monitor/worker/vm/vm.h"
#include "numa/region.h"
#include "tests/unit/support.h"

#define PAGES	 512u
#define BYTES	 ((uint64_t)PAGES * PAGE_BYTES)
#define VIEWS	 3u /* 0 on the segment's node, the others on the next one */
#define BOUND_NS 60000000000ull

static struct agent_server *server;
static pthread_t server_thread;
static int control, segment, replicas[2];
static uint8_t *base; /* the segment, unprotected */
static struct region_view figures;
/* New ones for each test: holders live until the process ends. */
static struct vm *vms;
static struct segment_map *maps;
static struct shm_holder *holders[VIEWS];
static uint64_t last_id;

static void *serve_main(void *arg)
{
	(void)arg;
	(void)!agent_serve(server);
	return NULL;
}

static void tell(struct agent_request *r, const int *fds)
{
	r->id = ++last_id;
	assert_int_equal(agent_request_send(control, r, fds, 0), 0);
}

static int memory(void)
{
	int fd = memfd_create("segment-link", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, BYTES), 0);
	return fd;
}

static int reader(int fd)
{
	int out;

	assert_int_equal(region_reader_fd(fd, &out), 0);
	return out;
}

/* --- control's part ------------------------------------------------------- */

static void begin(uint64_t bound_ns)
{
	struct agent_request r = { .kind = AGENT_SEGMENT };
	int fds[3], rw;

	r.segment = (struct agent_req_segment){ .segment = 1,
						.bytes = BYTES,
						.limit_pages = PAGES,
						.trial_ns = 1000,
						.bound_ns = bound_ns,
						.backoff_ns = 1000 };
	(void)strcpy(r.segment.policy, POLICY_STANDARD);
	assert_int_equal(
		region_prepare("f", SEGMENT_FIGURES_BYTES, NODE_AUTO, &rw), 0);
	fds[0] = reader(segment);
	fds[1] = rw;
	fds[2] = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	rw = reader(rw);
	region_detach(&figures);
	assert_int_equal(region_attach(&figures, rw, SEGMENT_FIGURES_BYTES), 0);
	tell(&r, fds);
	fds_close(fds, 3);
	(void)close(rw);
	for (unsigned i = 0; i < 2; i++) {
		struct agent_request n = { .kind = AGENT_SEGMENT_NODE };

		/* All its pages are on node 0 here, whatever the machine is. */
		n.segment_node = (struct agent_req_segment_node){
			.segment = 1, .node = i, .number = (int32_t)i
		};
		tell(&n, &replicas[i]);
	}
}

static void regions(int rw_ro[2])
{
	assert_int_equal(
		region_prepare("l", REPLICA_LINK_BYTES, NODE_AUTO, &rw_ro[0]),
		0);
	rw_ro[1] = reader(rw_ro[0]);
}

/* @dead: nobody serves the other end. */
static void link_view(unsigned i, bool dead)
{
	struct agent_request r = {
		.kind = AGENT_VIEW,
		.view = { .segment = 1, .view = i, .node = i != 0 }
	};
	int own[2], theirs[2], a[4], w[SHM_HOLDER_FDS];

	regions(own);
	regions(theirs);
	a[0] = own[0];
	a[1] = theirs[1];
	w[0] = theirs[0];
	w[1] = own[1];
	assert_int_equal(chan_wake_create(&a[2], &w[3]), 0);
	assert_int_equal(chan_wake_create(&w[2], &a[3]), 0);
	w[4] = reader(replicas[i != 0]);
	tell(&r, a);
	fds_close(a, 4);
	if (dead)
		return; /* its ends stay open: it is stopped, not gone */
	shm_holder_link(holders[i], w);
}

static void ready(void)
{
	struct agent_request r = { .kind = AGENT_SEGMENT_READY,
				   .segment_end.segment = 1 };

	tell(&r, NULL);
}

static void ask(uint32_t what)
{
	struct agent_request r = { .kind = AGENT_SEGMENT_DO };

	r.segment_do = (struct agent_req_segment_do){ .segment = 1,
						      .what = what,
						      .nr = UINT64_MAX };
	tell(&r, NULL);
}

static uint64_t copies(void)
{
	const struct segment_figures *f = figures.base;

	return f->copies[1];
}

static void start_agent(void)
{
	int pair[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(fcntl(pair[1], F_SETFL, O_NONBLOCK), 0);
	control = pair[0];
	assert_int_equal(agent_create(pair[1], &server), 0);
	assert_int_equal(pthread_create(&server_thread, NULL, serve_main, NULL),
			 0);
}

/* As if it was killed: its ends of all links close. */
static void end_agent(void)
{
	(void)close(control);
	(void)pthread_join(server_thread, NULL);
	agent_destroy(server);
}

static int setup(void **state)
{
	(void)state;
	vms = calloc(VIEWS, sizeof(*vms));
	maps = calloc(VIEWS, sizeof(*maps));
	assert_true(vms && maps);
	segment = memory();
	replicas[0] = memory();
	replicas[1] = memory();
	base = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, segment,
		    0);
	assert_true(base != MAP_FAILED);
	for (unsigned p = 0; p < PAGES; p++)
		base[p * PAGE_BYTES] = (uint8_t)p;
	for (unsigned i = 0; i < VIEWS; i++) {
		vms[i].stop_watch.fd = eventfd(0, EFD_CLOEXEC);
		assert_int_equal(
			segment_map_create(&maps[i], segment, BYTES, true), 0);
		assert_int_equal(
			shm_holder_create(&maps[i], &vms[i], &holders[i]), 0);
		assert_int_equal(shm_holder_start(holders[i]), 0);
	}
	start_agent();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	end_agent();
	for (unsigned i = 0; i < VIEWS; i++)
		assert_int_equal(vms[i].stop_why, 0);
	return 0;
}

static volatile uint8_t *at(unsigned view, unsigned page)
{
	return maps[view].base + page * PAGE_BYTES;
}

static bool is_replica(unsigned page)
{
	uint8_t there;

	return pread(replicas[1], &there, 1, (off_t)page * PAGE_BYTES) == 1 &&
	       there == (uint8_t)page;
}

static void wait_copies(uint64_t nr)
{
	WAIT_UNTIL(copies() == nr);
}

/* Where its pages are has to be known before, which takes a while. */
static void ask_again(void)
{
	ask(SEGMENT_REPLICATE);
	(void)usleep(20000);
}

static void all_are_replicated(void)
{
	begin(BOUND_NS);
	for (unsigned i = 0; i < VIEWS; i++)
		link_view(i, false);
	ready();
	*at(0, 0) = 0; /* waits until it is allowed */
	WAIT_UNTIL((ask_again(), copies() == PAGES));
}

static void pages_are_copied_and_written(void **state)
{
	struct stat st;

	(void)state;
	all_are_replicated();
	for (unsigned p = 1; p < PAGES; p++) {
		assert_true(is_replica(p));
		for (unsigned i = 0; i < VIEWS; i++)
			assert_int_equal(*at(i, p), (uint8_t)p);
	}
	/* By one that reads the segment, and by one that reads a copy. */
	*at(0, 7) = 200;
	*at(2, 8) = 201;
	for (unsigned i = 0; i < VIEWS; i++) {
		assert_int_equal(*at(i, 7), 200);
		assert_int_equal(*at(i, 8), 201);
		assert_int_equal(*at(i, 9), 9);
	}
	assert_int_equal(base[7 * PAGE_BYTES], 200);
	wait_copies(PAGES - 2);
	ask(SEGMENT_COLLAPSE);
	wait_copies(0);
	assert_int_equal(fstat(replicas[1], &st), 0);
	assert_int_equal(st.st_blocks, 0);
}

/* The next agent knows of no copy, and gets new memory for them. */
static void the_next_agent_goes_on(void **state)
{
	(void)state;
	all_are_replicated();
	end_agent();
	start_agent();
	replicas[0] = memory();
	replicas[1] = memory();
	begin(BOUND_NS);
	for (unsigned i = 0; i < VIEWS; i++)
		link_view(i, false);
	ready();
	*at(1, 20) = 99;
	for (unsigned i = 0; i < VIEWS; i++)
		assert_int_equal(*at(i, 20), 99);
	WAIT_UNTIL((ask_again(), copies() == PAGES));
	assert_int_equal(*at(2, 20), 99);
	*at(2, 20) = 98;
	assert_int_equal(*at(0, 20), 98);
}

static void *write_main(void *arg)
{
	(void)arg;
	*at(0, 30) = 77;
	return NULL;
}

/* One that answers nothing is reported, and waited for until it is dead. */
static void a_silent_view_is_late(void **state)
{
	struct agent_request end = { .kind = AGENT_VIEW_END,
				     .view = { .segment = 1, .view = 2 } };
	struct agent_answer a;
	pthread_t writer;
	int err;

	(void)state;
	begin(200000000);
	link_view(0, false);
	link_view(2, true);
	ready();
	assert_int_equal(pthread_create(&writer, NULL, write_main, NULL), 0);
	WAIT_UNTIL((err = agent_answer_receive(control, &a)) != -EAGAIN);
	assert_int_equal(err, 0);
	assert_int_equal(a.kind, AGENT_VIEW_LATE);
	assert_int_equal(a.view_late.segment, 1);
	assert_int_equal(a.view_late.view, 2);
	assert_int_equal(a.view_late.error, ETIMEDOUT);
	assert_int_equal(base[30 * PAGE_BYTES], 30);
	tell(&end, NULL);
	(void)pthread_join(writer, NULL);
	assert_int_equal(base[30 * PAGE_BYTES], 77);
}

/* A guest that ends waits for nothing, and has written nothing. */
static void a_guest_that_ends_is_let_go(void **state)
{
	pthread_t writer;

	(void)state;
	assert_int_equal(pthread_create(&writer, NULL, write_main, NULL), 0);
	(void)usleep(20000);
	shm_holder_cut(holders[0]);
	(void)pthread_join(writer, NULL);
	assert_int_equal(base[30 * PAGE_BYTES], 30);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(pages_are_copied_and_written),
		TEST(the_next_agent_goes_on),
		TEST(a_silent_view_is_late),
		TEST(a_guest_that_ends_is_let_go),
	};
	int err = segment_map_probe();

	if (err) {
		print_message(
			"# skip: no write-protection by userfaultfd: %s\n",
			strerror(-err));
		return 0;
	}
	return cmocka_run_group_tests_name("segment_link", tests, NULL, NULL);
}
