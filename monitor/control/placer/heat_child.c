/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The reader: orders are taken between snapshots, and a snapshot of each VM is
 * taken every HEAT_EVERY_NS. A worker that has just begun has mapped nothing yet:
 * its memory is looked for until it is there.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "disco/clock.h"
#include "monitor/control/placer/heat_reader.h"
#include "monitor/control/workers/ram_file.h"

#define NO_SLOT	  UINT32_MAX
#define OVERDUE	  (2 * HEAT_EVERY_NS) /* CPU time in advance, at its share */
#define MAPS_LINE 512

struct heat_vm {
	struct heat_order order; /* .pid 0: free */
	unsigned slot;		 /* NO_SLOT: not looked at yet */
	bool paused, refused;
	uint64_t start;	     /* of its RAM */
	uint64_t counted_ns; /* CPU time of its kdamond, as paid for so far */
	uint64_t paid_ns;    /* CPU time is paid for up to then */
};

struct heat_child {
	int sock;
	const struct heat_reader_config *c;
	struct damon *damon;
	struct heat_vm vms[DAMON_MAX_SLOTS];
	struct damon_region regions[DAMON_MAX_REGIONS];
	uint64_t strange; /* regions that were left out */
	bool ends;
};

bool heat_find_ram(FILE *maps, uint64_t bytes, uint64_t *start)
{
	char line[MAPS_LINE];

	while (fgets(line, sizeof(line), maps)) {
		uint64_t from, to, offset;

		if (!strstr(line, "/" RAM_FILE_NAME) ||
		    sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64, &from,
			   &to, &offset) != 3)
			continue;
		if (from % PAGE_BYTES || offset % PAGE_BYTES || offset > from ||
		    offset >= bytes || from - offset > UINT64_MAX - bytes)
			continue;
		*start = from - offset;
		return true;
	}
	return false;
}

/* --- to the monitor ------------------------------------------------------- */

/* Waits while the monitor does not read: there is nothing else to do. */
static void heat_send(struct heat_child *h, const struct heat_answer *a)
{
	if (send(h->sock, a, sizeof(*a), MSG_NOSIGNAL) < 0 && errno != EINTR)
		h->ends = true;
}

PRINTF(2, 3)
static void heat_say(struct heat_child *h, const char *fmt, ...)
{
	struct heat_answer a = { .heat.nr = 0 };
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(a.text, sizeof(a.text), fmt, ap);
	va_end(ap);
	heat_send(h, &a);
}

/* As many messages as it takes; the last one has the time of the looks. */
static void heat_send_regions(struct heat_child *h, const struct heat_vm *v,
			      unsigned nr)
{
	struct heat_answer a = { .heat.vm = v->order.vm };
	unsigned i = 0;

	do {
		unsigned n = 0;

		for (; i < nr && n < AGENT_HEAT_REGIONS; i++, n++) {
			const struct damon_region *r = &h->regions[i];

			a.heat.regions[n].page =
				(r->start - v->start) / PAGE_BYTES;
			a.heat.regions[n].pages = (uint32_t)min_u64(
				r->bytes / PAGE_BYTES, UINT32_MAX);
			a.heat.regions[n].accesses = r->accesses;
		}
		a.heat.nr = n;
		if (i == nr)
			a.heat.period_ns = (uint64_t)h->c->limits.sample_us *
					   1000 * DAMON_SAMPLES;
		heat_send(h, &a);
	} while (i < nr && !h->ends);
}

/* --- a VM ----------------------------------------------------------------- */

static struct heat_vm *heat_find(struct heat_child *h, uint64_t vm)
{
	for (unsigned i = 0; i < DAMON_MAX_SLOTS; i++)
		if (h->vms[i].order.pid && h->vms[i].order.vm == vm)
			return &h->vms[i];
	return NULL;
}

static void heat_drop(struct heat_child *h, struct heat_vm *v)
{
	if (v->slot != NO_SLOT)
		damon_stop(h->damon, v->slot);
	*v = (struct heat_vm){ .slot = NO_SLOT };
}

static void heat_obey(struct heat_child *h, const struct heat_order *o)
{
	struct heat_vm *v = heat_find(h, o->vm);

	if (v)
		heat_drop(h, v);
	if (!o->pid)
		return;
	for (unsigned i = 0; i < DAMON_MAX_SLOTS; i++) {
		if (h->vms[i].order.pid)
			continue;
		h->vms[i] = (struct heat_vm){ .order = *o, .slot = NO_SLOT };
		return;
	}
	heat_say(h, "accessed bits are looked at of %u VMs at most",
		 DAMON_MAX_SLOTS);
}

/* Somebody else has the list now, or DAMON answers oddly: no more of it. */
static void heat_fail(struct heat_child *h, struct heat_vm *v, int err)
{
	if (err == -ESTALE) {
		heat_say(h,
			 "DAMON, %s: somebody else has made its kdamonds anew: "
			 "accessed bits are not looked at any more",
			 h->c->root);
		h->ends = true;
		return;
	}
	/* ESRCH: the worker has ended, or is about to be reported. */
	if (err != -ESRCH && !v->refused)
		heat_say(h, "DAMON, process %d: %s", (int)v->order.pid,
			 err == -EBADMSG ? "regions that are cut or no numbers"
			 : err == -EBUSY ? "the kernel uses DAMON for itself "
					   "(DAMON_RECLAIM, DAMON_LRU_SORT)"
					 : strerror(-err));
	v->refused = true;
	if (v->slot != NO_SLOT)
		damon_stop(h->damon, v->slot);
	v->slot = NO_SLOT;
}

static void heat_vm_begin(struct heat_child *h, struct heat_vm *v)
{
	struct damon_target t = { v->order.pid, 0, v->order.ram_bytes };
	char path[64];
	FILE *maps;
	bool found;
	int err;

	(void)snprintf(path, sizeof(path), "/proc/%d/maps", (int)v->order.pid);
	maps = fopen(path, "re");
	found = maps && heat_find_ram(maps, v->order.ram_bytes, &t.start);
	if (maps)
		(void)fclose(maps);
	if (!found)
		return;
	v->start = t.start;
	err = damon_start(h->damon, &t, &v->slot);
	v->counted_ns = 0;
	v->paused = false;
	if (err) {
		v->slot = NO_SLOT;
		heat_fail(h, v, err);
	}
}

/* What it has cost is paid for: until then it is stopped. */
static void heat_pay(struct heat_child *h, struct heat_vm *v, uint64_t own_ns)
{
	uint64_t now = clock_now_ns();
	uint64_t spent = damon_spent_ns(h->damon, v->slot), more;
	int err = 0;

	/* A kdamond that was started anew counts from 0. */
	more = own_ns + (spent > v->counted_ns ? spent - v->counted_ns : 0);
	v->counted_ns = spent;
	v->paid_ns = max_u64(v->paid_ns, now) + more * 1000 / h->c->share;
	if (!v->paused && v->paid_ns > now + OVERDUE) {
		v->paused = true;
		err = damon_pause(h->damon, v->slot, true);
	}
	if (err)
		heat_fail(h, v, err);
}

static void heat_look(struct heat_child *h, struct heat_vm *v)
{
	uint64_t begun = clock_thread_ns();
	int nr;

	if (v->paused) {
		int err;

		if (v->paid_ns > clock_now_ns())
			return;
		v->paused = false;
		v->counted_ns = 0;
		err = damon_pause(h->damon, v->slot, false);
		if (err)
			heat_fail(h, v, err);
		return;
	}
	nr = damon_read(h->damon, v->slot, h->regions, h->c->limits.regions,
			&h->strange);
	if (nr < 0) {
		heat_fail(h, v, nr);
		return;
	}
	heat_send_regions(h, v, (unsigned)nr);
	heat_pay(h, v, clock_thread_ns() - begun);
}

/* --- all of them ---------------------------------------------------------- */

/* Orders that have come, for @ms at most. */
static void heat_listen(struct heat_child *h, int ms)
{
	struct pollfd p = { h->sock, POLLIN, 0 };
	struct heat_order o;
	ssize_t n;

	while (!h->ends && poll(&p, 1, ms) > 0) {
		n = recv(h->sock, &o, sizeof(o), MSG_DONTWAIT);
		if (n == (ssize_t)sizeof(o))
			heat_obey(h, &o);
		else if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
			h->ends = true;
		ms = 0;
	}
}

static void heat_round(struct heat_child *h)
{
	for (unsigned i = 0; i < DAMON_MAX_SLOTS && !h->ends; i++) {
		struct heat_vm *v = &h->vms[i];

		if (!v->order.pid)
			continue;
		if (v->slot == NO_SLOT)
			heat_vm_begin(h, v);
		else
			heat_look(h, v);
		/* Each look blocks: orders do not wait for all of them. */
		heat_listen(h, 0);
	}
}

void heat_child_run(int sock, const struct heat_reader_config *c)
{
	struct heat_child *h = calloc(1, sizeof(*h));
	struct diag d = { 0 };
	unsigned left = 0;

	if (!h)
		return;
	h->sock = sock;
	h->c = c;
	for (unsigned i = 0; i < DAMON_MAX_SLOTS; i++)
		h->vms[i].slot = NO_SLOT;
	if (damon_open(&h->damon, c->root, &c->limits, &left, &d))
		heat_say(h, "%s", d.text);
	else if (left)
		heat_say(h,
			 "%u kdamonds were removed that a killed monitor "
			 "had left",
			 left);
	while (h->damon && !h->ends) {
		uint64_t next = clock_now_ns() + HEAT_EVERY_NS, now;

		heat_round(h);
		while (!h->ends && (now = clock_now_ns()) < next)
			heat_listen(h, (int)((next - now) / 1000000 + 1));
	}
	damon_close(h->damon);
	free(h);
}
