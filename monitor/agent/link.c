/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/agent/link.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "monitor/ipc/fds.h"

static void *agent_link_place(const struct link *k, size_t offset)
{
	return (uint8_t *)k->own.base + offset;
}

static const void *peer_place(const struct link *k, size_t offset)
{
	return (const uint8_t *)k->peer.base + offset;
}

/* @own: of the agent's region, which the link owns from success on. */
static int agent_link_attach(struct link *k, int own, int peer)
{
	int err = region_take(&k->own, own, CACHE_LINK_BYTES);

	if (err) {
		(void)close(own);
		return err;
	}
	err = region_attach(&k->peer, peer, CACHE_LINK_BYTES);
	if (err)
		return err;
	err = chan_rx_init(&k->requests, CACHE_REQUESTS,
			   agent_link_place(k, CACHE_LINK_READER_OFF),
			   peer_place(k, CACHE_LINK_RING_OFF), k->wake_rx);
	if (err)
		return err;
	return chan_tx_init(&k->answers, CACHE_ANSWERS,
			    agent_link_place(k, CACHE_LINK_RING_OFF),
			    peer_place(k, CACHE_LINK_READER_OFF), k->wake_tx);
}

static unsigned nr_there(const int fds[LINK_FDS])
{
	unsigned n = 0;

	for (unsigned i = 0; i < LINK_FDS; i++)
		n += fds[i] >= 0;
	return n;
}

int link_open(uint64_t id, struct link_counts *counts, const int fds[LINK_FDS],
	      struct link **out)
{
	struct link *k = calloc(1, sizeof(*k));
	unsigned nr = nr_there(fds);
	int err = k ? -EBADF : -ENOMEM;

	if (err == -ENOMEM || (nr != 0 && nr != LINK_FDS)) {
		fds_close(fds, LINK_FDS);
		free(k);
		return err;
	}
	*k = (struct link){ .id = id,
			    .counts = counts,
			    .wake_tx = fds[2],
			    .wake_rx = fds[3],
			    .awake = nr != 0 };
	if (nr == 0) {
		*out = k;
		return 0;
	}
	err = agent_link_attach(k, fds[0], fds[1]);
	(void)close(fds[1]);
	if (err)
		link_close(k);
	else
		*out = k;
	return err;
}

void link_close(struct link *k)
{
	for (unsigned i = 0; i < VM_MAX_CACHED; i++)
		store_reader_remove(k->disks[i].reader);
	region_detach(&k->peer);
	region_destroy(&k->own);
	if (k->wake_tx >= 0)
		(void)close(k->wake_tx);
	if (k->wake_rx >= 0)
		(void)close(k->wake_rx);
	free(k);
}

void link_set_disk(struct link *k, uint32_t disk, struct store_reader *reader,
		   uint64_t store)
{
	store_reader_remove(k->disks[disk].reader);
	k->disks[disk] = (struct link_disk){ reader, store };
}

void link_wake(struct link *k, uint32_t events)
{
	/* The worker's end is closed: it would be ready for ever. */
	if (events & (EPOLLHUP | EPOLLRDHUP | EPOLLERR))
		k->error = k->error ? k->error : -EPIPE;
	chan_sleep_end(&k->requests);
	k->awake = true;
}

static void agent_link_answer(void *arg, uint32_t tag, uint32_t nr_there,
			      int err)
{
	struct cache_answer a = { .tag = tag,
				  .nr = nr_there,
				  .error = (uint32_t)-err };
	struct link *k = arg;
	int sent = chan_try_send(&k->answers, &a);

	if (sent == -EAGAIN)
		k->counts->answers_lost++;
	else if (sent)
		k->error = sent;
}

/*
 * Return: 0; -EAGAIN that is all for this turn; -EINVAL what is not there;
 * -EPROTO no request at all.
 */
static int agent_link_obey(struct link *k, const struct cache_request *q)
{
	struct store_reader *r = k->disks[q->disk].reader;
	int err;

	if (q->kind == CACHE_AHEAD)
		return store_ahead(r, q->first, q->nr);
	if (q->kind == CACHE_REPLICATE) {
		err = store_replicate(r, q->first, q->nr);
		return err ? err : -EAGAIN; /* it took time: others first */
	}
	if (q->kind != CACHE_FILL)
		return -EPROTO;
	err = store_fill(r, q->first, q->nr, agent_link_answer, k, q->tag);
	if (err && err != -EINVAL) {
		agent_link_answer(k, q->tag, 0, err);
		err = 0;
	}
	return err;
}

/*
 * A disk that is not known: control's message may be on its way still, though
 * sent before the worker heard of the disk. It is read before the next turn.
 */
static bool in_doubt(struct link *k)
{
	const struct cache_request *q = &k->request;

	k->in_doubt = !k->in_doubt && q->disk < VM_MAX_CACHED &&
		      !k->disks[q->disk].reader;
	return k->in_doubt;
}

/* Return: 0; -EAGAIN none, perhaps asleep; others: it is broken. */
static int next_request(struct link *k)
{
	int err = k->in_doubt ? 0 : chan_try_recv(&k->requests, &k->request);

	if (err != -EAGAIN)
		return err;
	err = chan_sleep_begin(&k->requests);
	if (err)
		return err;
	k->awake = false;
	return -EAGAIN;
}

/* Return: 0; -EAGAIN that is all for this turn; others: it is broken. */
static int take_one(struct link *k)
{
	const struct cache_request *q = &k->request;
	int err = next_request(k);

	if (err)
		return err;
	if (in_doubt(k))
		return -EAGAIN;
	k->counts->requests++;
	if (q->disk >= VM_MAX_CACHED || !k->disks[q->disk].reader)
		return -EINVAL;
	return agent_link_obey(k, q);
}

void link_turn(struct link *k)
{
	int err = 0;

	for (unsigned i = 0; k->awake && !k->error && !err && i < LINK_BATCH;
	     i++)
		err = take_one(k);
	if (err && err != -EAGAIN)
		k->error = err;
}
