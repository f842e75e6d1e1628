/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages between control and an agent, and what is refused of them. Fields of
 * requests: tests/unit/agent/test_agent.c.
 */
#include <errno.h>
#include <string.h>

#include "monitor/ipc/agent_messages.h"
#include "tests/unit/ipc/messages.h"

static size_t fill_request(void *bytes)
{
	struct agent_request *r = bytes;

	if (r->kind == AGENT_PULL)
		r->pull = (struct agent_req_pull){
			.bound_ns = 1,
			.what = AGENT_ANON,
			.pid = 1,
			.nr_ranges = 3,
			.ranges = { { PAGE_BYTES, PAGE_BYTES },
				    { 4 * PAGE_BYTES, PAGE_BYTES },
				    { 8 * PAGE_BYTES, PAGE_BYTES } },
		};
	if (r->kind == AGENT_STORE)
		r->store.image_bytes = 512;
	if (r->kind == AGENT_MACHINE)
		r->machine = (struct agent_req_machine){ .nr_nodes = 1 };
	if (r->kind == AGENT_PLACE)
		r->place = (struct agent_req_place){ .ram_pages = 1,
						     .bound_ns = 1,
						     .pid = 1 };
	if (r->kind == AGENT_SEGMENT)
		r->segment = (struct agent_req_segment){ .bytes = PAGE_BYTES,
							 .bound_ns = 1 };
	if (r->kind == AGENT_SEGMENT_DO)
		r->segment_do.what = SEGMENT_COLLAPSE;
	return agent_request_bytes(r);
}

static int receive_request(int sock, void *bytes, int fds[FDS_MAX])
{
	return agent_request_receive(sock, bytes, fds);
}

static size_t fill_answer(void *bytes)
{
	struct agent_answer *a = bytes;

	if (a->kind == AGENT_DONE)
		a->done.pulled.pages = UINT64_MAX;
	if (a->kind == AGENT_LINK_LOST)
		a->link_lost.error = EPIPE;
	return message_find(&agent_answer_table, a->kind)->bytes;
}

static int receive_answer(int sock, void *bytes, int fds[FDS_MAX])
{
	for (unsigned i = 0; i < FDS_MAX; i++)
		fds[i] = -1; /* they never get out of it */
	return agent_answer_receive(sock, bytes);
}

static struct direction directions[NR_DIRECTIONS] = {
	{ &agent_request_table, fill_request, receive_request, -EINVAL },
	{ &agent_answer_table, fill_answer, receive_answer, -EPROTO },
};

static void an_error_is_an_errno(void **state)
{
	struct agent_answer bad[] = {
		{ .kind = AGENT_DONE, .done.error = 4096 },
		{ .kind = AGENT_LINK_LOST, .link_lost.error = 4096 },
		{ .kind = AGENT_STORE_LOST, .store_lost.error = UINT32_MAX },
		{ .kind = AGENT_PEER_LOST, .peer_lost.error = 1u << 31 },
		{ .kind = AGENT_VIEW_LATE, .view_late.error = 4096 },
		{ .kind = AGENT_VIEW_LATE,
		  .view_late.view = SEGMENT_MAX_VIEWS },
	};
	struct agent_answer out = { .kind = 55 };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(
			agent_answer_check(
				&bad[i],
				message_find(&agent_answer_table, bad[i].kind)
					->bytes,
				&out),
			-EPROTO);
	assert_int_equal(out.kind, 55);
}

static int check_machine(const struct agent_req_machine *m)
{
	struct agent_request r = { .kind = AGENT_MACHINE, .machine = *m };

	return agent_request_check(&r, agent_request_bytes(&r));
}

static void machines_that_cannot_be_are_refused(void **state)
{
	struct agent_req_machine m = { .nr_nodes = 2 };

	(void)state;
	m.node_of_cpu[AGENT_MAX_CPUS - 1] = AGENT_NO_NODE;
	m.node_of_cpu[1] = 1;
	m.source = AGENT_SOURCE_FAULTS;
	assert_int_equal(check_machine(&m), 0);
	m.node_of_cpu[1] = 2;
	assert_int_equal(check_machine(&m), -EINVAL);
	m.node_of_cpu[1] = 0;
	m.source = AGENT_SOURCE_DIRTY + 1;
	assert_int_equal(check_machine(&m), -EINVAL);
	m.source = AGENT_SOURCE_FLASH;
	m.nodes[1] = -1;
	assert_int_equal(check_machine(&m), -EINVAL);
	m.nodes[1] = 0;
	m.nr_nodes = MAX_NODES + 1;
	assert_int_equal(check_machine(&m), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MESSAGE_TESTS(directions),
		cmocka_unit_test(an_error_is_an_errno),
		cmocka_unit_test(machines_that_cannot_be_are_refused),
	};

	return cmocka_run_group_tests_name("agent_messages", tests, NULL, NULL);
}
