/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/exec/fake_agent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "disco/clock.h"
#include "monitor/control/exec/ga_session.h"
#include "monitor/ipc/worker_messages.h"
#include "tests/unit/support.h"

static uint64_t offset_ns;

static uint64_t fake_now_ns(void)
{
	return clock_now_ns() + offset_ns;
}

static void nothing_heard(struct monitor *m, struct guest *g)
{
	(void)m;
	(void)g;
}

void fake_agent_create(struct fake_agent *f)
{
	static const struct guests_ops ops = { .added = nothing_heard,
					       .ended = nothing_heard };
	int sv[2];

	memset(f, 0, sizeof(*f));
	offset_ns = 0;
	for (unsigned i = 0; i < GUEST_NR_PORTS; i++)
		f->ports[i] = -1;
	f->m.ops = &ops;
	assert_int_equal(loop_create(&f->m.watcher.loop), 0);
	f->m.watcher.loop.now_ns = fake_now_ns;
	f->g = calloc(1, sizeof(*f->g));
	assert_non_null(f->g);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, sv), 0);
	f->worker = sv[1];
	f->g->m = &f->m;
	f->g->id = 1;
	f->g->vm.worker.control = sv[0];
	f->g->vm.name = f->g->record.name;
	strcpy(f->g->record.name, "vm");
	f->m.guests = f->g;
	atomic_store(&f->figures.magic, FIGURES_MAGIC);
	f->g->figures.region.base = &f->figures;
	fake_agent_open(f, 1u << GUEST_PORT_AGENT);
}

void fake_agent_destroy(struct fake_agent *f)
{
	ga_leave(&f->m);
	ga_sessions_leave(&f->m);
	ga_sessions_sweep(&f->m);
	for (unsigned i = 0; i < GUEST_NR_PORTS; i++)
		if (f->ports[i] >= 0)
			(void)close(f->ports[i]);
	(void)close(f->g->vm.worker.control);
	(void)close(f->worker);
	free(f->g->ga);
	free(f->g);
	loop_destroy(&f->m.watcher.loop);
}

void fake_agent_open(struct fake_agent *f, uint64_t ports)
{
	atomic_store(&f->figures.io.ports, ports);
}

static void take_requests(struct fake_agent *f)
{
	struct worker_request r;
	int fds[FDS_MAX];

	while (worker_request_receive(f->worker, &r, fds) == 0) {
		int *port = &f->ports[r.port.port];

		assert_int_equal(r.kind, WORKER_REQ_PORT);
		if (*port >= 0)
			(void)close(*port);
		*port = fds[0];
	}
}

static void take_bytes(struct fake_agent *f)
{
	int fd = f->ports[GUEST_PORT_AGENT];
	ssize_t n;

	if (fd < 0)
		return;
	n = recv(fd, f->in + f->len, sizeof(f->in) - 1 - f->len, MSG_DONTWAIT);
	if (n > 0)
		f->len += (size_t)n;
	f->in[f->len] = '\0';
}

void fake_agent_run(struct fake_agent *f)
{
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(loop_turn(&f->m.watcher.loop, 0), 0);
		ga_sessions_sweep(&f->m);
		take_requests(f);
		take_bytes(f);
	}
}

void fake_agent_sleep(struct fake_agent *f, uint64_t ns)
{
	fake_agent_run(f);
	offset_ns = ns;
	assert_int_equal(loop_turn(&f->m.watcher.loop, 0), 0);
	offset_ns = 0;
	fake_agent_run(f);
}

char *fake_agent_line(struct fake_agent *f)
{
	static char line[65536];
	char *end;
	size_t n;

	fake_agent_run(f);
	end = memchr(f->in, '\n', f->len);
	if (!end)
		return NULL;
	n = (size_t)(end - f->in);
	memcpy(line, f->in, n);
	line[n] = '\0';
	f->len -= n + 1;
	memmove(f->in, end + 1, f->len);
	return line;
}

size_t fake_agent_write(struct fake_agent *f, const void *bytes, size_t n)
{
	const char *at = bytes;
	size_t done = 0;

	for (unsigned idle = 0; done < n && idle < 3;) {
		ssize_t sent = send(f->ports[GUEST_PORT_AGENT], at + done,
				    min_u64(n - done, 65536),
				    MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent > 0)
			done += (size_t)sent;
		idle = sent > 0 ? 0 : idle + 1;
		fake_agent_run(f);
	}
	return done;
}

void fake_agent_say(struct fake_agent *f, const char *text)
{
	assert_int_equal(fake_agent_write(f, text, strlen(text)), strlen(text));
}

void fake_agent_sync(struct fake_agent *f)
{
	static const char before[] =
		"\xff{\"execute\":\"guest-sync-delimited\",\"arguments\":"
		"{\"id\":";
	const char *line = fake_agent_line(f);
	char reply[128];

	assert_non_null(line);
	assert_memory_equal(line, before, sizeof(before) - 1);
	/* What an agent says to the mark itself comes first. */
	(void)snprintf(reply, sizeof(reply),
		       "{\"error\": {\"class\": \"GenericError\", \"desc\": "
		       "\"JSON\"}}\n\xff{\"return\": %llu}\n",
		       strtoull(line + sizeof(before) - 1, NULL, 10));
	fake_agent_say(f, reply);
}
