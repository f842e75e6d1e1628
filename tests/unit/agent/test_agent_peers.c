/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An agent in a child, in its sandbox, that copies from another node's store:
 * the test plays that node, control, and workers that ask for copies.
 */
#include "tests/unit/agent/agent_guests.h"

/* The other node's store: what its agent would have. */
static struct far {
	int memory;
	uint8_t *base;
	struct region presence;
	struct region_view leases;
} far;

#define PEER 500u

static void far_start(void)
{
	size_t bytes = w.nr_blocks * PAGE_BYTES;

	assert_int_equal(region_prepare("far", bytes, NODE_AUTO, &far.memory),
			 0);
	far.base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
			far.memory, 0);
	assert_true(far.base != MAP_FAILED);
	assert_int_equal(region_create(&far.presence, "presence",
				       lease_map_bytes(w.nr_blocks), NODE_AUTO,
				       0),
			 0);
}

static void far_end(void)
{
	(void)munmap(far.base, w.nr_blocks * PAGE_BYTES);
	(void)close(far.memory);
	region_destroy(&far.presence);
	region_detach(&far.leases);
}

static void far_fill(uint64_t first, unsigned nr)
{
	memcpy(far.base + first * PAGE_BYTES, w.content + first * PAGE_BYTES,
	       nr * (size_t)PAGE_BYTES);
	presence_set(far.presence.base, first, nr);
}

static int set_up(void **state)
{
	(void)start(state);
	far_start();
	return 0;
}

static int tear_down(void **state)
{
	far_end();
	return end(state);
}

static void tell_peer(uint64_t id, uint64_t store)
{
	const struct agent_request r = {
		.kind = AGENT_PEER, .peer = { .peer = id, .store = store }
	};
	size_t bytes = lease_map_bytes(w.nr_blocks);
	int fds[3] = { far.memory };

	assert_int_equal(region_prepare("lease", bytes, NODE_AUTO, &fds[2]), 0);
	region_detach(&far.leases);
	assert_int_equal(region_attach(&far.leases, fds[2], bytes), 0);
	assert_int_equal(region_reader_fd(far.presence.fd, &fds[1]), 0);
	tell(&r, fds, 3);
	(void)close(fds[1]);
	(void)close(fds[2]);
}

static void ask_for_copies(struct guest *g, uint64_t first, uint32_t nr)
{
	const struct cache_request q = { .kind = CACHE_REPLICATE,
					 .first = first,
					 .nr = nr };

	assert_int_equal(chan_try_send(&g->requests, &q), 0);
}

/* All that was said and asked before was done. */
static void synced(struct guest *g, uint64_t id)
{
	tell_id(AGENT_SYNC, id);
	expect(AGENT_SYNCED, id, 0);
	fill(g, 4000, 1);
}

static void copies_are_made(void **state)
{
	struct guest g, h;

	(void)state;
	guest_start(&g, 1);
	guest_start(&h, 2);
	far_fill(100, 300);
	tell_peer(PEER, STORE);
	synced(&g, 1000);
	ask_for_copies(&g, 90, 256);
	ask_for_copies(&h, 346, 54);
	wait_figure(&figures->replicated_blocks, 300);
	for (uint64_t b = 100; b < 400; b++) {
		assert_true(presence_test(w.there, b) && block_right(&w, b));
		assert_false(presence_test(far.leases.base, b));
	}
	/* Nothing of it was read, and nothing is to be read again. */
	fill(&h, 100, 256);
	assert_int_equal(FIGURE(read_bytes), PAGE_BYTES);
	assert_int_equal(FIGURE(replica_blocks), 300);
	assert_int_equal(FIGURE(present_blocks), 301);
	agent_lives();
	agent_rests();
	guest_end(&g);
	guest_end(&h);
}

static void nothing_after_its_end(void **state)
{
	struct guest g;

	(void)state;
	guest_start(&g, 1);
	far_fill(0, 100);
	tell_peer(PEER, STORE);
	synced(&g, 1000);
	ask_for_copies(&g, 0, 10);
	wait_figure(&figures->replicated_blocks, 10);
	tell_id(AGENT_PEER_END, PEER);
	tell_id(AGENT_PEER_END, PEER); /* unknown: nothing */
	synced(&g, 1001);
	ask_for_copies(&g, 10, 50);
	synced(&g, 1002);
	assert_int_equal(FIGURE(replicated_blocks), 10);
	/* Another one, of a store that ends: with it. */
	tell_peer(PEER + 1, STORE);
	tell_id(AGENT_STORE_END, STORE);
	tell_id(AGENT_PEER_END, PEER + 1);
	tell_store(STORE + 1);
	tell_peer(PEER + 2, STORE + 1);
	tell_id(AGENT_SYNC, 1003);
	expect(AGENT_SYNCED, 1003, 0);
	agent_lives();
	guest_end(&g);
}

/* Many in a row may be answered by one. */
static void the_last_one_is_answered(void **state)
{
	struct agent_answer a = { 0 };
	unsigned answers = 0;

	(void)state;
	for (uint64_t id = 1; id <= 500; id++)
		tell_id(AGENT_SYNC, id);
	while (a.id != 500) {
		uint64_t before = a.id;

		assert_int_equal(listen_for(&a, 10000), 1);
		assert_int_equal(a.kind, AGENT_SYNCED);
		assert_true(a.id > before);
		answers++;
	}
	assert_true(answers <= 500);
	assert_int_equal(listen_for(&a, 10), 0);
	agent_rests();
}

static void what_cannot_be_made(void **state)
{
	struct agent_request r = { .kind = AGENT_PEER,
				   .peer = { .peer = PEER, .store = STORE } };
	int fds[3] = { far.memory, far.presence.fd, w.memory };

	(void)state;
	tell(&r, fds, 2);
	expect(AGENT_PEER_LOST, PEER, EBADF);
	tell(&r, fds, 3);
	expect(AGENT_PEER_LOST, PEER, EPROTO);
	fds[0] = w.memory; /* it could shrink */
	tell(&r, fds, 3);
	expect(AGENT_PEER_LOST, PEER, EPROTO);
	/* Of a store that is not there: nothing is said. */
	r.peer.store = STORE + 1;
	tell(&r, fds, 3);
	/* What is said to be lost comes before. */
	r.peer.store = STORE;
	tell(&r, fds, 2);
	tell_id(AGENT_SYNC, 7);
	expect(AGENT_PEER_LOST, PEER, EBADF);
	expect(AGENT_SYNCED, 7, 0);
	agent_lives();
}

/* A store whose presence map says anything: its bytes are not taken. */
static void a_store_that_lies(void **state)
{
	struct guest g;

	(void)state;
	guest_start(&g, 1);
	memset(far.presence.base, 0xff, lease_map_bytes(w.nr_blocks));
	tell_peer(PEER, STORE);
	synced(&g, 1000);
	ask_for_copies(&g, 0, 256);
	ask_for_copies(&g, w.nr_blocks - 10, 10);
	synced(&g, 1001);
	assert_int_equal(FIGURE(replicated_blocks), 0);
	assert_false(presence_test(w.there, 0));
	fill(&g, 0, 10);
	guest_end(&g);
	agent_lives();
}

static void an_id_that_is_in_use(void **state)
{
	struct agent_answer a;
	int status;

	(void)state;
	tell_peer(PEER, STORE);
	tell_peer(PEER, STORE);
	assert_int_equal(listen_for(&a, 10000), -1);
	far_end();
	status = status_at_end();
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EINVAL);
}

#define SERVED(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SERVED(copies_are_made),
		SERVED(nothing_after_its_end),
		SERVED(the_last_one_is_answered),
		SERVED(what_cannot_be_made),
		SERVED(a_store_that_lies),
		cmocka_unit_test_setup_teardown(an_id_that_is_in_use, set_up,
						NULL),
	};

	return cmocka_run_group_tests_name("agent_peers", tests, NULL, NULL);
}
