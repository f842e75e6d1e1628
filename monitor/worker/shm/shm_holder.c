/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/worker/shm/shm_holder.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "memory/replica/holder.h"
#include "monitor/ipc/fds.h"
#include "monitor/sandbox/sandbox.h"
#include "monitor/worker/vm/vm.h"
#include "numa/region.h"

#define HOLDER_STACK KIB(64)
#define FAULT_BATCH  64u

/* In the order of WORKER_REQ_SHM_LINK. */
enum link_fd { OWN, PEER, WAKE_HOME, WOKEN, REPLICAS };

struct shm_holder {
	struct vm *vm;		 /* [I] */
	struct segment_map *map; /* [I] */
	int faults[2];		 /* [I] a pipe of page numbers */
	int orders;		 /* [I] eventfd: .next, .cut */
	pthread_mutex_t lock;
	pthread_cond_t done;
	/* [L:lock] what the I/O thread wants; -1: nothing */
	int next[SHM_HOLDER_FDS];
	bool cut, was_cut; /* [L:lock] */
	/* All below: the holder's thread. */
	struct holder holder;
	struct region own;	 /* of the link; empty: there is none */
	struct region_view peer; /* the home's: hostile */
	int wake_tx, wake_rx;
	struct chan_tx tx;
	struct chan_rx rx;
};

/* --- what the holder needs ----------------------------------------------- */

static int shm_op_protect(void *arg, uint32_t first, uint32_t nr)
{
	return segment_map_protect(((struct shm_holder *)arg)->map, first, nr);
}

static int shm_op_show(void *arg, uint32_t page)
{
	return segment_map_show(((struct shm_holder *)arg)->map, page);
}

static int shm_op_hide(void *arg, uint32_t page, struct holder_range *hidden)
{
	return segment_map_hide(((struct shm_holder *)arg)->map, page, hidden);
}

static void shm_op_allow(void *arg, uint32_t first, uint32_t nr)
{
	segment_map_allow(((struct shm_holder *)arg)->map, first, nr);
}

static bool shm_op_send(void *arg, const struct replica_msg *m)
{
	return chan_try_send(&((struct shm_holder *)arg)->tx, m) == 0;
}

static const struct holder_ops shm_holder_ops = { shm_op_protect, shm_op_show,
						  shm_op_hide, shm_op_allow,
						  shm_op_send };

/* --- the link ------------------------------------------------------------ */

/* A view that cannot be put in order would show what is old. */
static void shm_holder_fail(struct shm_holder *h, int err)
{
	vm_stop(h->vm, STOP_FAILED, "shared segment: %s", strerror(-err));
}

static void shm_unlink(struct shm_holder *h)
{
	int err = holder_unlink(&h->holder);

	if (err)
		shm_holder_fail(h, err);
	region_detach(&h->peer);
	region_destroy(&h->own);
	fds_drop(&h->wake_tx);
	fds_drop(&h->wake_rx);
}

static int shm_attach(struct shm_holder *h, const int *fds)
{
	int err = region_take(&h->own, fds[OWN], REPLICA_LINK_BYTES);
	uint8_t *own = h->own.base;
	const uint8_t *peer;

	if (err)
		return err;
	err = region_attach(&h->peer, fds[PEER], REPLICA_LINK_BYTES);
	if (err)
		return err;
	peer = h->peer.base;
	err = chan_tx_init(
		&h->tx, REPLICA_SHAPE, (void *)(own + REPLICA_RING_OFF),
		(const void *)(peer + REPLICA_READER_OFF), h->wake_tx);
	if (err)
		return err;
	return chan_rx_init(
		&h->rx, REPLICA_SHAPE, (void *)(own + REPLICA_READER_OFF),
		(const void *)(peer + REPLICA_RING_OFF), h->wake_rx);
}

static void shm_take_link(struct shm_holder *h, const int *fds)
{
	int err;

	shm_unlink(h);
	h->wake_tx = fds[WAKE_HOME];
	h->wake_rx = fds[WOKEN];
	segment_map_set_replicas(h->map, fds[REPLICAS]);
	err = shm_attach(h, fds);
	(void)close(fds[PEER]);
	if (!h->own.base)
		(void)close(fds[OWN]);
	if (!err)
		return;
	(void)fprintf(stderr, "shared segment: no link to its home: %s\n",
		      strerror(-err));
	shm_unlink(h);
}

/* --- the holder's thread ------------------------------------------------- */

static void shm_orders(struct shm_holder *h)
{
	int fds[SHM_HOLDER_FDS];
	eventfd_t n;

	(void)eventfd_read(h->orders, &n);
	(void)pthread_mutex_lock(&h->lock);
	memcpy(fds, h->next, sizeof(fds));
	memset(h->next, -1, sizeof(h->next));
	if (h->cut && !h->was_cut) {
		segment_map_cut(h->map);
		h->was_cut = true;
		(void)pthread_cond_broadcast(&h->done);
	}
	(void)pthread_mutex_unlock(&h->lock);
	if (fds[OWN] >= 0)
		shm_take_link(h, fds);
}

static void shm_faults(struct shm_holder *h)
{
	uint64_t pages[FAULT_BATCH];
	ssize_t n = read(h->faults[0], pages, sizeof(pages));
	int err = 0;

	for (ssize_t i = 0; !err && i < n / (ssize_t)sizeof(pages[0]); i++)
		err = holder_fault(&h->holder, pages[i]);
	if (err)
		shm_unlink(h);
}

/* Return: true: it sleeps, or there is no link. */
static bool shm_messages(struct shm_holder *h)
{
	struct replica_msg m;
	int err;

	if (!h->own.base)
		return true;
	err = chan_try_recv(&h->rx, &m);
	if (err == -EAGAIN) {
		err = chan_sleep_begin(&h->rx);
		if (!err)
			return true;
		return false;
	}
	if (!err)
		err = holder_receive(&h->holder, &m);
	if (!err)
		return false;
	if (err != -EPROTO && err != -EPIPE)
		shm_holder_fail(h, err);
	shm_unlink(h);
	return true;
}

static void shm_holder_turn(struct shm_holder *h, bool asleep)
{
	struct pollfd p[] = { { .fd = h->orders, .events = POLLIN },
			      { .fd = h->faults[0], .events = POLLIN },
			      { .fd = h->wake_rx, .events = POLLIN } };
	int n = poll(p, h->own.base ? 3 : 2, asleep ? -1 : 0);

	if (h->own.base)
		chan_sleep_end(&h->rx);
	if (n <= 0)
		return;
	/* The home's end is closed: its agent is dead; the next one links. */
	if (h->own.base && (p[2].revents & (POLLHUP | POLLERR)))
		shm_unlink(h);
	if (p[0].revents)
		shm_orders(h);
	if (p[1].revents)
		shm_faults(h);
}

static void shm_enter(struct shm_holder *h)
{
	int err = sandbox_enter(SANDBOX_SEGMENT);

	if (err)
		vm_stop(h->vm, STOP_FAILED, "system call filter refused: %s",
			strerror(-err));
}

static void *shm_holder_main(void *arg)
{
	struct shm_holder *h = arg;

	shm_enter(h);
	for (;
	     ;) { /* until the process ends: a page is waited for by somebody */
		bool asleep = shm_messages(h);

		shm_holder_turn(h, asleep);
	}
	return NULL;
}

static void *shm_faults_main(void *arg)
{
	struct shm_holder *h = arg;
	uint64_t page;
	int err;

	shm_enter(h);
	while ((err = segment_map_wait(h->map, &page)) == 0)
		if (write(h->faults[1], &page, sizeof(page)) !=
		    (ssize_t)sizeof(page))
			break;
	shm_holder_fail(h, err ? err : -EPIPE);
	return NULL;
}

static int shm_thread(void *(*run)(void *arg), struct shm_holder *h)
{
	pthread_attr_t attr;
	pthread_t thread;
	int err;

	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, HOLDER_STACK);
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	err = -pthread_create(&thread, &attr, run, h);
	(void)pthread_attr_destroy(&attr);
	return err;
}

int shm_holder_start(struct shm_holder *h)
{
	int err = shm_thread(shm_faults_main, h);

	return err ? err : shm_thread(shm_holder_main, h);
}

/* --- the I/O thread ------------------------------------------------------ */

void shm_holder_link(struct shm_holder *h, const int *fds)
{
	(void)pthread_mutex_lock(&h->lock);
	for (unsigned i = 0; i < SHM_HOLDER_FDS; i++) {
		if (h->next[i] >= 0)
			(void)close(h->next[i]); /* one that nobody took */
		h->next[i] = fds[i];
	}
	(void)pthread_mutex_unlock(&h->lock);
	(void)eventfd_write(h->orders, 1);
}

void shm_holder_cut(struct shm_holder *h)
{
	(void)pthread_mutex_lock(&h->lock);
	h->cut = true;
	(void)eventfd_write(h->orders, 1);
	while (!h->was_cut)
		(void)pthread_cond_wait(&h->done, &h->lock);
	(void)pthread_mutex_unlock(&h->lock);
}

int shm_holder_create(struct segment_map *map, struct vm *vm,
		      struct shm_holder **out)
{
	struct shm_holder *h = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	h->vm = vm;
	h->map = map;
	h->wake_tx = h->wake_rx = -1;
	memset(h->next, -1, sizeof(h->next));
	(void)pthread_mutex_init(&h->lock, NULL);
	(void)pthread_cond_init(&h->done, NULL);
	holder_init(&h->holder, (uint32_t)(map->bytes / PAGE_BYTES),
		    &shm_holder_ops, h, map->shown, map->waiting);
	h->orders = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (h->orders < 0 || pipe2(h->faults, O_CLOEXEC) < 0) {
		int err = -errno;

		free(h);
		return err;
	}
	*out = h;
	return 0;
}
