/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * disco-agent itself, told by us, in control's place, to keep the buffer cache
 * of one image, which is empty. It ends with its socket, so with this process.
 */
#ifndef BENCH_AGENT_PROCESS_H
#define BENCH_AGENT_PROCESS_H

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include "bench/measure.h"
#include "cowdisk/cache/cache.h"
#include "cowdisk/base/cache_proto.h"
#include "disco/agent_proto.h"
#include "memory/lease.h"
#include "monitor/ipc/agent_messages.h"
#include "numa/region.h"

/* Return: the agent's socket. */
static inline int agent_start(const char *program)
{
	int s[2];

	must(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s), "socketpair");
	switch (fork()) {
	case -1:
		fail("fork");
	case 0:
		(void)dup2(s[1], AGENT_FD_CONTROL);
		if (s[0] != AGENT_FD_CONTROL)
			(void)close(s[0]);
		execl(program, program, NULL);
		fail(program);
	default:
		(void)close(s[1]);
	}
	return s[0];
}

static inline void agent_say(int sock, struct agent_request r, const int *fds)
{
	must(agent_request_send(sock, &r, fds, 0), "agent");
}

/* A region's writer gets the first one, its reader the second. */
static inline void agent_region(const char *name, size_t bytes, int fds[2])
{
	must(region_prepare(name, bytes, NODE_AUTO, &fds[0]), name);
	must(region_reader_fd(fds[0], &fds[1]), name);
}

static inline void agent_link(int sock, struct cache *c)
{
	int agent[2], worker[2], wake_agent[2], wake_worker[2];

	agent_region("agent", CACHE_LINK_BYTES, agent);
	agent_region("worker", CACHE_LINK_BYTES, worker);
	must(chan_wake_create(&wake_agent[0], &wake_agent[1]), "wake");
	must(chan_wake_create(&wake_worker[0], &wake_worker[1]), "wake");
	agent_say(
		sock,
		(struct agent_request){ .kind = AGENT_LINK, .link.link = 2 },
		(int[]){ agent[0], worker[1], wake_worker[0], wake_agent[1] });
	must(cache_link(c, worker[0], agent[1], wake_agent[0], wake_worker[1]),
	     "cache_link");
	(void)close(agent[0]);
	(void)close(worker[1]);
	(void)close(wake_worker[0]);
	(void)close(wake_agent[1]);
}

/* Disk 0 of the cache; @image: with O_DIRECT. */
static inline void agent_store(int sock, struct cache *c, int image,
			       uint64_t bytes)
{
	uint64_t blocks = align_up(bytes, PAGE_BYTES) / PAGE_BYTES;
	int memory[2], presence[2], lease[2];

	agent_region("cache", blocks * PAGE_BYTES, memory);
	agent_region("presence", lease_map_bytes(blocks), presence);
	agent_region("lease", lease_map_bytes(blocks), lease);
	agent_say(sock,
		  (struct agent_request){
			  .kind = AGENT_STORE,
			  .store = { .store = 1, .image_bytes = bytes } },
		  (int[]){ image, memory[0], presence[0] });
	agent_link(sock, c);
	agent_say(sock,
		  (struct agent_request){ .kind = AGENT_READER,
					  .reader = { .link = 2, .store = 1 } },
		  &lease[1]);
	agent_say(sock,
		  (struct agent_request){ .kind = AGENT_LIMIT,
					  .limit.cache_bytes =
						  blocks * PAGE_BYTES },
		  NULL);
	must(cache_attach(c, 0, 0, bytes, memory[1], presence[1], lease[0]),
	     "cache_attach");
	cache_set_home(c, 0);
	(void)close(memory[0]);
	(void)close(presence[0]);
	(void)close(lease[1]);
}

/* What was said is done. */
static inline void agent_sync(int sock)
{
	struct pollfd p = { .fd = sock, .events = POLLIN };
	struct agent_answer a;

	agent_say(sock, (struct agent_request){ .kind = AGENT_SYNC, .id = 3 },
		  NULL);
	(void)poll(&p, 1, -1);
	if (agent_answer_receive(sock, &a) || a.kind != AGENT_SYNCED)
		fail("agent");
}

#endif
