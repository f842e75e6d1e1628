/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/ipc/worker_messages.h"

#include <errno.h>
#include <string.h>

#include "disco/config.h"
#include "disco/guest_ports.h"
#include "monitor/ipc/merge_maps.h"
#include "monitor/ipc/text_clean.h"
#include "numa/bind.h"

#define REQUEST(member) .bytes = MESSAGE_BYTES(worker_request, member)
#define EVENT(member)	.bytes = MESSAGE_BYTES(worker_event, member)
#define HEAD_ALONE	.bytes = sizeof(struct message_head)

static const struct message_kind requests[] = {
	[WORKER_REQ_STATS] = { HEAD_ALONE },
	[WORKER_REQ_STOP] = { HEAD_ALONE },
	[WORKER_REQ_PAUSE] = { HEAD_ALONE },
	[WORKER_REQ_RESUME] = { HEAD_ALONE },
	[WORKER_REQ_KEEP] = { HEAD_ALONE },
	[WORKER_REQ_ADOPT] = { REQUEST(adopt),
			       .fds = { MESSAGE_SOCKET, MESSAGE_PIPE } },
	[WORKER_REQ_BIND] = { REQUEST(bind) },
	[WORKER_REQ_REHOME] = { REQUEST(rehome),
				.fds = { MESSAGE_MEMORY, MESSAGE_MEMORY } },
	[WORKER_REQ_CACHE] = { REQUEST(cache),
			       .fds = { MESSAGE_MEMORY, MESSAGE_MEMORY,
					MESSAGE_MEMORY } },
	[WORKER_REQ_LINK] = { REQUEST(link),
			      .fds = { MESSAGE_MEMORY, MESSAGE_MEMORY,
				       MESSAGE_SOCKET, MESSAGE_SOCKET } },
	[WORKER_REQ_UNLINK] = { HEAD_ALONE },
	[WORKER_REQ_CACHE_END] = { REQUEST(cache_end) },
	[WORKER_REQ_SUM] = { REQUEST(sum), .fds = { MESSAGE_MEMORY } },
	[WORKER_REQ_GIVE] = { REQUEST(give),
			      .fds = { MESSAGE_MEMORY, MESSAGE_MEMORY } },
	[WORKER_REQ_SHARE] = { REQUEST(share),
			       .fds = { MESSAGE_MEMORY, MESSAGE_MEMORY } },
	[WORKER_REQ_EXACT] = { HEAD_ALONE },
	[WORKER_REQ_BUTTON] = { HEAD_ALONE },
	[WORKER_REQ_PORT] = { REQUEST(port), .fds = { MESSAGE_SOCKET } },
	[WORKER_REQ_NET_PORT] = { REQUEST(net_port),
				  .fds = { MESSAGE_MEMORY, MESSAGE_SOCKET } },
	[WORKER_REQ_NET_PORT_END] = { REQUEST(net_port_end) },
	[WORKER_REQ_NET_PUBLISH] = { REQUEST(net_publish) },
	[WORKER_REQ_NET_DUMP] = { REQUEST(net_dump),
				  .fds = { MESSAGE_SOCKET } },
	[WORKER_REQ_SHM_LINK] = { REQUEST(shm_link),
				  .fds = { MESSAGE_MEMORY, MESSAGE_MEMORY,
					   MESSAGE_SOCKET, MESSAGE_SOCKET,
					   MESSAGE_MEMORY } },
	[WORKER_REQ_SAMPLE] = { REQUEST(sample) },
	[WORKER_REQ_COPIES] = { HEAD_ALONE,
				.fds = { MESSAGE_MEMORY, MESSAGE_MEMORY,
					 MESSAGE_SOCKET } },
};

static const struct message_kind events[] = {
	[WORKER_STARTED] = { HEAD_ALONE },
	[WORKER_STOPPED] = { EVENT(stopped) },
	[WORKER_STATS] = { EVENT(stats) },
	[WORKER_PAUSED] = { EVENT(paused) },
	[WORKER_BOUND] = { EVENT(bound) },
	[WORKER_REHOMED] = { EVENT(rehomed) },
	[WORKER_MERGED] = { EVENT(merged) },
};

const struct message_table worker_request_table = MESSAGE_TABLE(requests);
const struct message_table worker_event_table = MESSAGE_TABLE(events);

_Static_assert(offsetof(struct worker_request, adopt) ==
			       sizeof(struct message_head) &&
		       offsetof(struct worker_event, stopped) ==
			       sizeof(struct message_head),
	       "they begin with a message_head");

/* --- requests --- */

int worker_request_send(int sock, const struct worker_request *r,
			const int *fds, int flags)
{
	const struct message_kind *k =
		message_find(&worker_request_table, r->kind);

	if (!k)
		return -EINVAL;
	return message_send(&worker_request_table, sock, r, k->bytes, fds,
			    flags);
}

static bool worker_node_sane(int32_t node, bool any)
{
	return (any && node == NODE_AUTO) || (node >= 0 && node <= NODE_ID_MAX);
}

static bool worker_bind_sane(int32_t node)
{
	return node == WORKER_NODES_SPREAD || worker_node_sane(node, true);
}

static bool worker_merge_sane(uint64_t ram_bytes, uint32_t entries)
{
	return ram_bytes && ram_bytes % PAGE_BYTES == 0 &&
	       ram_bytes <= MERGE_BYTES_MAX && entries &&
	       entries <= ram_bytes / PAGE_BYTES;
}

static bool worker_request_sane(const struct worker_request *r)
{
	switch ((enum worker_request_kind)r->kind) {
	case WORKER_REQ_BIND:
		return worker_bind_sane(r->bind.node);
	case WORKER_REQ_REHOME:
		return worker_node_sane(r->rehome.node, true);
	case WORKER_REQ_CACHE:
		return worker_node_sane(r->cache.node, false) &&
		       r->cache.disk < VM_MAX_CACHED && r->cache.image_bytes &&
		       (r->cache.disk < VM_MAX_DISKS || r->cache.image);
	case WORKER_REQ_CACHE_END:
		return worker_node_sane(r->cache_end.node, false) &&
		       r->cache_end.disk < VM_MAX_CACHED;
	case WORKER_REQ_LINK:
		return worker_node_sane(r->link.node, false);
	case WORKER_REQ_SUM:
		return worker_merge_sane(r->sum.ram_bytes, 1);
	case WORKER_REQ_GIVE:
		return worker_merge_sane(r->give.ram_bytes, r->give.entries);
	case WORKER_REQ_SHARE:
		return worker_merge_sane(r->share.ram_bytes,
					 r->share.entries) &&
		       r->share.layer < MERGE_LAYERS;
	case WORKER_REQ_PORT:
		return r->port.port >= GUEST_PORT_AGENT &&
		       r->port.port < GUEST_NR_PORTS;
	case WORKER_REQ_NET_PORT:
		return r->net_port.net < VM_MAX_NETS && r->net_port.gen &&
		       r->net_port.shares <= 1 && r->net_port.routed4 <= 1 &&
		       memchr(r->net_port.name, '\0', sizeof(r->net_port.name));
	case WORKER_REQ_NET_PORT_END:
		return r->net_port_end.net < VM_MAX_NETS;
	case WORKER_REQ_NET_DUMP:
		return r->net_dump.net < VM_MAX_NETS && r->net_dump.most > 0;
	case WORKER_REQ_NET_PUBLISH:
		return r->net_publish.host_port && r->net_publish.guest_port &&
		       r->net_publish.on <= 1 && r->net_publish.udp <= 1 &&
		       r->net_publish.ip6 <= 1;
	case WORKER_REQ_SHM_LINK:
		return r->shm_link.shm < VM_MAX_SHMS;
	case WORKER_REQ_SAMPLE:
		return r->sample.share >= 1 && r->sample.share <= 1000 &&
		       r->sample.how <= WORKER_SAMPLE_WRITES;
	case WORKER_REQ_ADOPT: /* which protocol is the worker's to judge */
	case WORKER_REQ_STATS:
	case WORKER_REQ_STOP:
	case WORKER_REQ_PAUSE:
	case WORKER_REQ_RESUME:
	case WORKER_REQ_KEEP:
	case WORKER_REQ_UNLINK:
	case WORKER_REQ_EXACT:
	case WORKER_REQ_BUTTON:
	case WORKER_REQ_COPIES:
		return true;
	}
	return false;
}

int worker_request_check(const struct worker_request *r, size_t len)
{
	int err = message_check(&worker_request_table, r, len);

	if (err)
		return err;
	return worker_request_sane(r) ? 0 : -EINVAL;
}

int worker_request_receive(int sock, struct worker_request *r, int fds[FDS_MAX])
{
	size_t len;
	int err = message_receive(&worker_request_table, sock, r, sizeof(*r),
				  &len, fds);

	if (err || worker_request_sane(r))
		return err;
	for (unsigned i = 0; i < FDS_MAX; i++)
		fds_drop(&fds[i]);
	return -EINVAL;
}

/* --- events --- */

int worker_event_send(int sock, const struct worker_event *e)
{
	const struct message_kind *k =
		message_find(&worker_event_table, e->kind);

	if (!k)
		return -EINVAL;
	return message_send(&worker_event_table, sock, e, k->bytes, NULL, 0);
}

static void worker_usage_clean(struct worker_usage *u)
{
	if (u->ram_pages_local > u->ram_pages)
		u->ram_pages = u->ram_pages_local = 0;
	for (unsigned i = 0; i < MAX_NODES; i++) {
		struct worker_node_pages *on = &u->ram_on[i];

		if (!worker_node_sane(on->node, false))
			*on = (struct worker_node_pages){ .node = 0 };
		on->pages = min_u64(on->pages, u->ram_pages);
	}
	u->ram_exact = u->ram_exact == 1;
	if (u->text_pages_local > u->text_pages)
		u->text_pages = u->text_pages_local = 0;
	u->nr_views = min_u64(u->nr_views, VM_MAX_VIEWS);
	if (!u->nr_views)
		u->copies_limit = 0;
}

/* Changes what can be mended; false: it makes no sense. */
static bool worker_event_sane(struct worker_event *e)
{
	switch ((enum worker_event_kind)e->kind) {
	case WORKER_STARTED:
		return true;
	case WORKER_STOPPED:
		worker_usage_clean(&e->stopped.usage);
		text_clean(e->stopped.text, sizeof(e->stopped.text));
		return e->stopped.stop >= STOP_POWEROFF &&
		       e->stopped.stop <= STOP_ASKED;
	case WORKER_STATS:
		worker_usage_clean(&e->stats.usage);
		e->stats.paused = e->stats.paused != 0;
		return true;
	case WORKER_PAUSED:
		e->paused.paused = e->paused.paused != 0;
		return true;
	case WORKER_BOUND:
		return e->bound.error <= MESSAGE_ERRNO_MAX;
	case WORKER_REHOMED:
		return e->rehomed.error <= MESSAGE_ERRNO_MAX;
	case WORKER_MERGED:
		return e->merged.error <= MESSAGE_ERRNO_MAX;
	}
	return false;
}

int worker_event_check(const void *bytes, size_t len, struct worker_event *out)
{
	struct worker_event e = { .kind = 0 };
	int err;

	if (len > sizeof(e))
		return -EBADMSG;
	memcpy(&e, bytes, len);
	err = message_check(&worker_event_table, &e, len);
	if (err)
		return err;
	if (!worker_event_sane(&e))
		return -EPROTO;
	*out = e;
	return 0;
}

int worker_event_receive(int sock, struct worker_event *out)
{
	struct worker_event e;
	int fds[FDS_MAX];
	size_t len;
	int err = message_receive(&worker_event_table, sock, &e, sizeof(e),
				  &len, fds);

	return err ? err : worker_event_check(&e, len, out);
}
