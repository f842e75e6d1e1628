/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/ipc/agent_messages.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "disco/config.h"
#include "numa/bind.h"

#define MAX_BOUND_NS 60000000000ull

#define REQUEST(member) .bytes = MESSAGE_BYTES(agent_request, member)
#define ANSWER(member)	.bytes = MESSAGE_BYTES(agent_answer, member)
#define HEAD_ALONE	.bytes = sizeof(struct message_head)

static const struct message_kind requests[] = {
	[AGENT_PULL] = { .bytes = offsetof(struct agent_request, pull.ranges),
			 .most_bytes = MESSAGE_BYTES(agent_request, pull),
			 .fds = { MESSAGE_FILE } },
	[AGENT_COPY] = { HEAD_ALONE,
			 .fds = { MESSAGE_MEMORY, MESSAGE_MEMORY } },
	[AGENT_STORE] = { REQUEST(store), .fds = { MESSAGE_FILE, MESSAGE_MEMORY,
						   MESSAGE_MEMORY } },
	[AGENT_STORE_END] = { REQUEST(store_end) },
	[AGENT_LINK] = { REQUEST(link),
			 .fds = { MESSAGE_MEMORY, MESSAGE_MEMORY,
				  MESSAGE_SOCKET, MESSAGE_SOCKET } },
	[AGENT_LINK_END] = { REQUEST(link) },
	[AGENT_READER] = { REQUEST(reader), .fds = { MESSAGE_MEMORY } },
	[AGENT_LIMIT] = { REQUEST(limit) },
	[AGENT_FIGURES] = { HEAD_ALONE, .fds = { MESSAGE_MEMORY } },
	[AGENT_PEER] = { REQUEST(peer), .fds = { MESSAGE_MEMORY, MESSAGE_MEMORY,
						 MESSAGE_MEMORY } },
	[AGENT_PEER_END] = { REQUEST(peer_end) },
	[AGENT_SYNC] = { HEAD_ALONE },
	[AGENT_LEASES] = { REQUEST(link) },
	[AGENT_MACHINE] = { REQUEST(machine), .fds = { MESSAGE_FILE } },
	[AGENT_NODES] = { REQUEST(nodes) },
	[AGENT_PLACE] = { REQUEST(place),
			  .fds = { MESSAGE_FILE, MESSAGE_FILE, MESSAGE_MEMORY,
				   MESSAGE_MEMORY } },
	[AGENT_POLICY] = { REQUEST(policy) },
	[AGENT_PLACE_END] = { REQUEST(place_end) },
	[AGENT_TRACE] = { REQUEST(trace), .fds = { MESSAGE_MEMORY } },
	[AGENT_TRACE_END] = { REQUEST(trace) },
	[AGENT_COPIES] = { REQUEST(copies),
			   .fds = { MESSAGE_MEMORY, MESSAGE_MEMORY,
				    MESSAGE_SOCKET } },
	[AGENT_SEGMENT] = { REQUEST(segment),
			    .fds = { MESSAGE_MEMORY, MESSAGE_MEMORY,
				     MESSAGE_FILE } },
	[AGENT_SEGMENT_NODE] = { REQUEST(segment_node),
				 .fds = { MESSAGE_MEMORY } },
	[AGENT_VIEW] = { REQUEST(view),
			 .fds = { MESSAGE_MEMORY, MESSAGE_MEMORY,
				  MESSAGE_SOCKET, MESSAGE_SOCKET } },
	[AGENT_VIEW_END] = { REQUEST(view) },
	[AGENT_SEGMENT_READY] = { REQUEST(segment_end) },
	[AGENT_SEGMENT_END] = { REQUEST(segment_end) },
	[AGENT_SEGMENT_DO] = { REQUEST(segment_do) },
	[AGENT_HEAT] = { REQUEST(heat) },
};

static const struct message_kind answers[] = {
	[AGENT_PROGRESS] = { ANSWER(progress) },
	[AGENT_DONE] = { ANSWER(done) },
	[AGENT_LINK_LOST] = { ANSWER(link_lost) },
	[AGENT_STORE_LOST] = { ANSWER(store_lost) },
	[AGENT_SYNCED] = { HEAD_ALONE },
	[AGENT_PEER_LOST] = { ANSWER(peer_lost) },
	[AGENT_VIEW_LATE] = { ANSWER(view_late) },
};

const struct message_table agent_request_table = MESSAGE_TABLE(requests);
const struct message_table agent_answer_table = MESSAGE_TABLE(answers);

_Static_assert(offsetof(struct agent_request, pull) ==
			       sizeof(struct message_head) &&
		       offsetof(struct agent_answer, done) ==
			       sizeof(struct message_head),
	       "they begin with a message_head");

/* --- requests --- */

size_t agent_request_bytes(const struct agent_request *r)
{
	const struct message_kind *k =
		message_find(&agent_request_table, r->kind);

	if (!k)
		return 0;
	return k->most_bytes ? k->bytes + r->pull.nr_ranges *
						  sizeof(r->pull.ranges[0])
			     : k->bytes;
}

int agent_request_send(int sock, const struct agent_request *r, const int *fds,
		       int flags)
{
	return message_send(&agent_request_table, sock, r,
			    agent_request_bytes(r), fds, flags);
}

static bool agent_ranges_sane(const struct agent_req_pull *p)
{
	for (uint32_t i = 0; i < p->nr_ranges; i++) {
		const struct agent_range *a = &p->ranges[i];

		if ((a->start | a->bytes) % PAGE_BYTES || a->bytes == 0 ||
		    !range_fits(a->start, a->bytes, AGENT_MAX_PIECES))
			return false;
	}
	return true;
}

static bool agent_pull_sane(const struct agent_req_pull *p)
{
	return p->pid > 0 && p->node >= 0 && p->node <= NODE_ID_MAX &&
	       p->bound_ns != 0 && p->bound_ns <= MAX_BOUND_NS &&
	       !(p->what & ~(uint32_t)(AGENT_FILE | AGENT_ANON)) &&
	       agent_ranges_sane(p);
}

static bool agent_text_ends(const char text[AGENT_POLICY_MAX])
{
	return memchr(text, '\0', AGENT_POLICY_MAX);
}

static bool agent_place_sane(const struct agent_req_place *p)
{
	return p->pid > 0 && p->ram_pages != 0 &&
	       p->ram_pages <= VM_MAX_MEMORY / PAGE_BYTES && p->bound_ns != 0 &&
	       p->bound_ns <= MAX_BOUND_NS && agent_text_ends(p->policy) &&
	       (p->vcpu_node < MAX_NODES || p->vcpu_node == AGENT_NO_NODE);
}

static bool agent_machine_sane(const struct agent_req_machine *m)
{
	for (uint32_t i = 0; i < m->nr_nodes && i < MAX_NODES; i++)
		if (m->nodes[i] < 0 || m->nodes[i] > NODE_ID_MAX)
			return false;
	for (uint32_t i = 0; i < AGENT_MAX_CPUS; i++)
		if (m->node_of_cpu[i] >= m->nr_nodes &&
		    m->node_of_cpu[i] != AGENT_NO_NODE)
			return false;
	return m->nr_nodes != 0 && m->nr_nodes <= MAX_NODES &&
	       m->source <= AGENT_SOURCE_DIRTY && m->rate <= AGENT_MAX_RATE &&
	       m->share <= 1000;
}

static bool agent_segment_sane(const struct agent_req_segment *s)
{
	return s->bytes && s->bytes % PAGE_BYTES == 0 &&
	       s->bytes <= SHM_MAX_BYTES && s->bound_ns != 0 &&
	       s->bound_ns <= MAX_BOUND_NS && s->trial_ns <= MAX_BOUND_NS &&
	       s->backoff_ns <= MAX_BOUND_NS && agent_text_ends(s->policy);
}

static bool agent_request_sane(const struct agent_request *r)
{
	switch ((enum agent_request_kind)r->kind) {
	case AGENT_PULL:
		return agent_pull_sane(&r->pull);
	case AGENT_STORE:
		return r->store.image_bytes != 0 &&
		       r->store.image_bytes % 512 == 0 &&
		       r->store.image_bytes <= AGENT_MAX_IMAGE;
	case AGENT_READER:
		return r->reader.disk < VM_MAX_CACHED;
	case AGENT_COPY:
	case AGENT_STORE_END:
	case AGENT_LINK:
	case AGENT_LINK_END:
	case AGENT_LIMIT:
	case AGENT_FIGURES:
	case AGENT_PEER:
	case AGENT_PEER_END:
	case AGENT_LEASES:
		return true;
	case AGENT_SYNC:
		return r->id != 0;
	case AGENT_MACHINE:
		return agent_machine_sane(&r->machine);
	case AGENT_NODES:
		return r->nodes.nr_nodes <= MAX_NODES;
	case AGENT_PLACE:
		return agent_place_sane(&r->place);
	case AGENT_POLICY:
		return agent_text_ends(r->policy.policy);
	case AGENT_SEGMENT:
		return agent_segment_sane(&r->segment);
	case AGENT_SEGMENT_NODE:
		return r->segment_node.node < MAX_NODES;
	case AGENT_VIEW:
	case AGENT_VIEW_END:
		return r->view.view < SEGMENT_MAX_VIEWS &&
		       r->view.node < MAX_NODES;
	case AGENT_SEGMENT_DO:
		return r->segment_do.what == SEGMENT_REPLICATE ||
		       r->segment_do.what == SEGMENT_COLLAPSE;
	case AGENT_HEAT:
		return r->heat.nr <= AGENT_HEAT_REGIONS;
	case AGENT_SEGMENT_READY:
	case AGENT_SEGMENT_END:
	case AGENT_PLACE_END:
	case AGENT_TRACE:
	case AGENT_TRACE_END:
	case AGENT_COPIES:
		return true;
	}
	return false;
}

int agent_request_check(const struct agent_request *r, size_t len)
{
	int err = message_check(&agent_request_table, r, len);

	if (err)
		return err == -EPROTO ? -EINVAL : err;
	/* The number of ranges is what the length says; 64 bits: no overflow */
	if (len != agent_request_bytes(r))
		return -EBADMSG;
	return agent_request_sane(r) ? 0 : -EINVAL;
}

int agent_request_receive(int sock, struct agent_request *r, int fds[FDS_MAX])
{
	size_t len;
	int err = message_receive(&agent_request_table, sock, r, sizeof(*r),
				  &len, fds);
	int wrong = err && err != -EBADF ? err : agent_request_check(r, len);

	if (!wrong)
		return err;
	for (unsigned i = 0; i < FDS_MAX; i++)
		fds_drop(&fds[i]);
	return wrong == -EPROTO ? -EINVAL : wrong;
}

/* --- answers --- */

int agent_answer_send(int sock, const struct agent_answer *a)
{
	const struct message_kind *k =
		message_find(&agent_answer_table, a->kind);

	if (!k)
		return -EINVAL;
	return message_send(&agent_answer_table, sock, a, k->bytes, NULL,
			    MSG_DONTWAIT);
}

/* What an agent counted may be anything: stall_hist_merge() expects that. */
static bool agent_answer_sane(const struct agent_answer *a)
{
	switch ((enum agent_answer_kind)a->kind) {
	case AGENT_PROGRESS:
	case AGENT_SYNCED:
		return true;
	case AGENT_DONE:
		return a->done.error <= MESSAGE_ERRNO_MAX;
	case AGENT_LINK_LOST:
		return a->link_lost.error <= MESSAGE_ERRNO_MAX;
	case AGENT_STORE_LOST:
		return a->store_lost.error <= MESSAGE_ERRNO_MAX;
	case AGENT_PEER_LOST:
		return a->peer_lost.error <= MESSAGE_ERRNO_MAX;
	case AGENT_VIEW_LATE:
		return a->view_late.error <= MESSAGE_ERRNO_MAX &&
		       a->view_late.view < SEGMENT_MAX_VIEWS;
	}
	return false;
}

int agent_answer_check(const void *bytes, size_t len, struct agent_answer *out)
{
	struct agent_answer a = { .kind = 0 };
	int err;

	if (len > sizeof(a))
		return -EBADMSG;
	memcpy(&a, bytes, len);
	err = message_check(&agent_answer_table, &a, len);
	if (err)
		return err;
	if (!agent_answer_sane(&a))
		return -EPROTO;
	*out = a;
	return 0;
}

int agent_answer_receive(int sock, struct agent_answer *out)
{
	struct agent_answer a;
	int fds[FDS_MAX];
	size_t len;
	int err = message_receive(&agent_answer_table, sock, &a, sizeof(a),
				  &len, fds);

	return err ? err : agent_answer_check(&a, len, out);
}
