/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages between control and a worker, and what is refused of them. */
#include <errno.h>
#include <string.h>

#include "disco/config.h"
#include "disco/guest_ports.h"
#include "monitor/ipc/merge_maps.h"
#include "monitor/ipc/worker_messages.h"
#include "numa/bind.h"
#include "tests/unit/ipc/messages.h"

static size_t fill_request(void *bytes)
{
	struct worker_request *r = bytes;

	if (r->kind == WORKER_REQ_CACHE)
		r->cache = (struct worker_req_cache){ .image_bytes = 1,
						      .disk = 3,
						      .node = 1 };
	if (r->kind == WORKER_REQ_SUM)
		r->sum.ram_bytes = PAGE_BYTES;
	if (r->kind == WORKER_REQ_GIVE)
		r->give = (struct worker_req_give){ .ram_bytes = MIB(1),
						    .entries = 256 };
	if (r->kind == WORKER_REQ_SHARE)
		r->share = (struct worker_req_share){ .ram_bytes = MIB(1),
						      .entries = 1,
						      .layer = 7 };
	if (r->kind == WORKER_REQ_PORT)
		r->port.port = GUEST_NR_PORTS - 1;
	if (r->kind == WORKER_REQ_NET_PUBLISH)
		r->net_publish.host_port = r->net_publish.guest_port = 80;
	if (r->kind == WORKER_REQ_NET_DUMP)
		r->net_dump.most = 96;
	if (r->kind == WORKER_REQ_SAMPLE)
		r->sample.share = 1000;
	if (r->kind == WORKER_REQ_NET_PORT) {
		r->net_port.gen = 1;
		(void)strcpy(r->net_port.name, "vm");
	}
	return message_find(&worker_request_table, r->kind)->bytes;
}

static int receive_request(int sock, void *bytes, int fds[FDS_MAX])
{
	return worker_request_receive(sock, bytes, fds);
}

static size_t fill_event(void *bytes)
{
	struct worker_event *e = bytes;

	if (e->kind == WORKER_STOPPED) {
		e->stopped.stop = STOP_CRASH;
		(void)strcpy(e->stopped.text, "why");
	}
	if (e->kind == WORKER_REHOMED)
		e->rehomed.stall_ns = 5;
	return message_find(&worker_event_table, e->kind)->bytes;
}

static int receive_event(int sock, void *bytes, int fds[FDS_MAX])
{
	for (unsigned i = 0; i < FDS_MAX; i++)
		fds[i] = -1; /* they never get out of it */
	return worker_event_receive(sock, bytes);
}

static struct direction directions[NR_DIRECTIONS] = {
	{ &worker_request_table, fill_request, receive_request, -EPROTO },
	{ &worker_event_table, fill_event, receive_event, -EPROTO },
};

/* --- fields --- */

static int check(const struct worker_request *r)
{
	return worker_request_check(
		r, message_find(&worker_request_table, r->kind)->bytes);
}

static void numbers_out_of_range_are_refused(void **state)
{
#define R(k, ...)                                                              \
	{                                                                      \
		.kind = WORKER_REQ_##k, .id = 1, __VA_ARGS__                   \
	}
	static const struct worker_request bad[] = {
		R(BIND, .bind.node = WORKER_NODES_SPREAD - 1),
		R(BIND, .bind.node = NODE_ID_MAX + 1),
		R(REHOME, .rehome.node = -2),
		R(REHOME, .rehome.node = INT32_MAX),
		R(NET_PORT, .net_port = { .net = VM_MAX_NETS, .gen = 1 }),
		R(NET_PORT, .net_port = { .gen = 0 }),
		R(NET_PORT, .net_port = { .gen = 1, .shares = 2 }),
		R(NET_PORT, .net_port = { .gen = 1, .routed4 = 2 }),
		R(NET_PORT_END, .net_port_end.net = VM_MAX_NETS),
		R(NET_DUMP, .net_dump = { .net = VM_MAX_NETS, .most = 1 }),
		R(NET_DUMP, .net_dump.most = 0),
		R(NET_PUBLISH, .net_publish.host_port = 80),
		R(NET_PUBLISH,
		  .net_publish = { .host_port = 1, .guest_port = 1, .on = 2 }),
		R(SHM_LINK, .shm_link.shm = VM_MAX_SHMS),
		R(SAMPLE, .sample = { .rate = 1, .share = 0 }),
		R(SAMPLE, .sample = { .rate = 1, .share = 1001 }),
		R(SAMPLE, .sample = { .rate = 1, .share = 1, .how = 3 }),
		R(LINK, .link.node = -1),
		R(LINK, .link.node = NODE_ID_MAX + 1),
		R(CACHE, .cache = { .disk = 0, .node = 0 }),
		R(CACHE, .cache = { 512, 1, VM_MAX_CACHED, 0 }),
		R(CACHE, .cache = { 512, 1, UINT32_MAX, 0 }),
		R(CACHE, .cache = { 512, 0, VM_MAX_DISKS, 0 }),
		R(CACHE, .cache = { 512, 0, 0, -1 }),
		R(CACHE_END, .cache_end = { VM_MAX_CACHED, 0 }),
		R(CACHE_END, .cache_end = { 0, -1 }),
		R(SUM, .sum.ram_bytes = 0),
		R(SUM, .sum.ram_bytes = 4095),
		R(SUM, .sum.ram_bytes = MERGE_BYTES_MAX + PAGE_BYTES),
		R(GIVE, .give = { .ram_bytes = MIB(1), .entries = 0 }),
		R(GIVE, .give = { .ram_bytes = MIB(1), .entries = 257 }),
		R(SHARE, .share = { MIB(1), UINT32_MAX, 0 }),
		R(SHARE, .share = { MIB(1), 1, MERGE_LAYERS }),
		R(PORT, .port.port = GUEST_PORT_CONSOLE),
		R(PORT, .port.port = GUEST_NR_PORTS),
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(check(&bad[i]), -EINVAL);
#undef R
}

/* It is told apart, so that it can be answered. */
static void what_is_refused_has_its_id(void **state)
{
	struct worker_request r = { .kind = WORKER_REQ_BIND,
				    .id = 41,
				    .bind.node = -7 };
	int pair[2], fds[FDS_MAX];

	(void)state;
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(worker_request_receive(pair[1], &r, fds), -EAGAIN);
	r = (struct worker_request){ .kind = WORKER_REQ_BIND,
				     .id = 41,
				     .bind.node = -7 };
	assert_int_equal(worker_request_send(pair[0], &r, NULL, 0), 0);
	assert_int_equal(worker_request_receive(pair[1], &r, fds), -EINVAL);
	assert_int_equal(r.kind, WORKER_REQ_BIND);
	assert_int_equal(r.id, 41);
	r = (struct worker_request){ .kind = WORKER_REQ_SUM,
				     .id = 42,
				     .sum.ram_bytes = PAGE_BYTES };
	assert_int_equal(fds_send(pair[0], &r,
				  MESSAGE_BYTES(worker_request, sum), NULL, 0,
				  0),
			 0);
	assert_int_equal(worker_request_receive(pair[1], &r, fds), -EBADF);
	assert_int_equal(r.kind, WORKER_REQ_SUM);
	assert_int_equal(r.id, 42);
	(void)close(pair[0]);
	assert_int_equal(worker_request_receive(pair[1], &r, fds), -EPIPE);
	(void)close(pair[1]);
}

/* We ourselves send nothing of the kind. */
static void what_is_wrong_is_not_sent(void **state)
{
	struct worker_request r = { .kind = WORKER_REQ_SHARE };
	struct worker_event e = { .kind = WORKER_MERGED + 1 };
	const int fds[FDS_MAX] = { 0 };

	(void)state;
	assert_int_equal(worker_request_send(-1, &r, NULL, 0), -EINVAL);
	r.kind = WORKER_REQ_STOP;
	assert_int_equal(worker_request_send(-1, &r, fds, 0), -EINVAL);
	r.kind = WORKER_REQ_BUTTON + 1;
	assert_int_equal(worker_request_send(-1, &r, NULL, 0), -EINVAL);
	assert_int_equal(worker_event_send(-1, &e), -EINVAL);
}

static void events_are_mended_or_refused(void **state)
{
	struct worker_event e = { .kind = WORKER_PAUSED,
				  .paused.paused = 0x80000000u };
	struct worker_event out;

	(void)state;
	assert_int_equal(worker_event_check(
				 &e, MESSAGE_BYTES(worker_event, paused), &out),
			 0);
	assert_int_equal(out.paused.paused, 1);
	e = (struct worker_event){ .kind = WORKER_STATS };
	e.stats.paused = 2;
	e.stats.usage.text_pages_local = 1;
	assert_int_equal(worker_event_check(
				 &e, MESSAGE_BYTES(worker_event, stats), &out),
			 0);
	assert_int_equal(out.stats.paused, 1);
	assert_int_equal(out.stats.usage.text_pages_local, 0);
	e = (struct worker_event){ .kind = WORKER_BOUND, .bound.error = 4096 };
	assert_int_equal(worker_event_check(
				 &e, MESSAGE_BYTES(worker_event, bound), &out),
			 -EPROTO);
	e = (struct worker_event){ .kind = WORKER_MERGED,
				   .merged.error = UINT32_MAX };
	assert_int_equal(worker_event_check(
				 &e, MESSAGE_BYTES(worker_event, merged), &out),
			 -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MESSAGE_TESTS(directions),
		cmocka_unit_test(numbers_out_of_range_are_refused),
		cmocka_unit_test(what_is_refused_has_its_id),
		cmocka_unit_test(what_is_wrong_is_not_sent),
		cmocka_unit_test(events_are_mended_or_refused),
	};

	return cmocka_run_group_tests_name("worker_messages", tests, NULL,
					   NULL);
}
