/* SPDX-License-Identifier: BSD-2-Clause */
#include "cowdisk/dax/pager.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "disco/clock.h"
#include "memory/uffd.h"
#include "numa/read_at.h"

#define FEATURES                                                               \
	(UFFD_FEATURE_THREAD_ID | UFFD_FEATURE_MISSING_SHMEM |                 \
	 UFFD_FEATURE_MINOR_SHMEM)
#define BATCH 16u

enum slot_state { SLOT_FREE, SLOT_ASKED, SLOT_REFUSED, SLOT_TAKEN };

struct pager_fault {
	/* [A: pager, I/O thread: see pager.h; release, acquire] */
	_Atomic(uint32_t) state;
	bool begun;		     /* I/O thread */
	struct pager_region *region; /* pager, before ASKED */
	uint64_t page;		     /* the same */
	uint64_t deadline_ns;	     /* pager */
};

struct pager {
	int uffd;     /* [I] */
	int io_fd;    /* [I] wakes the I/O thread */
	int own_fd;   /* [I] wakes the pager */
	uint32_t tid; /* [I] of the I/O thread */
	struct pager_region *regions[PAGER_MAX_REGIONS]; /* [I] */
	unsigned nr_regions;				 /* [I] */
	/* [A: I/O thread / pager; release, acquire] */
	_Atomic(uint32_t) hurry;
	_Atomic(bool) stop; /* [A: any / pager; release, acquire] */
	/* [A: pager / any, relaxed: statistics] */
	_Atomic(uint64_t) faults, copied;
	struct pager_fault slots[PAGER_SLOTS];
	uint8_t *page; /* pager */
};

static uint32_t pager_state_of(struct pager_fault *f)
{
	return atomic_load_explicit(&f->state, memory_order_acquire);
}

static void set_state(struct pager_fault *f, enum slot_state s)
{
	atomic_store_explicit(&f->state, s, memory_order_release);
}

/* Compare and swap: a change that the other side made first stays. */
static bool change_state(struct pager_fault *f, enum slot_state from,
			 enum slot_state to)
{
	uint32_t was = from;

	return atomic_compare_exchange_strong_explicit(&f->state, &was, to,
						       memory_order_acq_rel,
						       memory_order_acquire);
}

static void pager_wake(int fd)
{
	/* Cannot fail: the counter is far from its end. */
	(void)eventfd_write(fd, 1);
}

static void pager_count(_Atomic(uint64_t) *c)
{
	uint64_t now = atomic_load_explicit(c, memory_order_relaxed);

	atomic_store_explicit(c, now + 1, memory_order_relaxed);
}

/* --- answers of the pager itself --- */

static int read_base(const struct pager *p, const struct pager_region *r,
		     uint64_t page)
{
	return read_at(r->base, p->page, PAGE_BYTES, page * PAGE_BYTES);
}

/* The page is lost: make it inaccessible (PROT_NONE). */
static void lose_page(const struct pager *p, uint8_t *at)
{
	(void)mmap(at, PAGE_BYTES, PROT_NONE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1,
		   0);
	uffd_wake(p->uffd, at);
}

static void copy_page(struct pager *p, struct pager_region *r, uint64_t page)
{
	uint8_t *at = r->hva + page * PAGE_BYTES;

	if (read_base(p, r, page)) {
		lose_page(p, at);
		return;
	}
	pager_count(&p->copied);
	switch (-uffd_copy(p->uffd, at, p->page)) {
	case 0:
		break;
	case EEXIST: /* mapped meanwhile */
	case ENOENT: /* the region is just being mapped anew */
	case EAGAIN:
	case ENOMEM:
		uffd_wake(p->uffd, at);
		break;
	default:
		lose_page(p, at);
	}
}

/* --- the pager --- */

static struct pager_region *find_region(struct pager *p, uint64_t at)
{
	for (unsigned i = 0; i < p->nr_regions; i++) {
		struct pager_region *r = p->regions[i];

		if (at - (uintptr_t)r->hva < r->nr_pages * PAGE_BYTES)
			return r;
	}
	return NULL;
}

static bool is_hurried(struct pager *p)
{
	return atomic_load_explicit(&p->hurry, memory_order_acquire) != 0;
}

static struct pager_fault *free_slot(struct pager *p)
{
	for (unsigned i = 0; i < PAGER_SLOTS; i++)
		if (pager_state_of(&p->slots[i]) == SLOT_FREE)
			return &p->slots[i];
	return NULL;
}

/*
 * Handle one event. The pager itself answers the I/O thread's own faults and
 * all faults while that thread is in a hurry, since it would wait for itself;
 * so it does if no slot is free. Return: true: the I/O thread has something to
 * do.
 */
static bool pager_begin(struct pager *p, const struct uffd_msg *m)
{
	uint64_t at = align_down(m->arg.pagefault.address, PAGE_BYTES);
	struct pager_region *r = find_region(p, at);
	struct pager_fault *f;
	uint64_t page;

	if (m->event != UFFD_EVENT_PAGEFAULT || !r)
		return false;
	pager_count(&p->faults);
	page = (at - (uintptr_t)r->hva) / PAGE_BYTES;
	f = m->arg.pagefault.feat.ptid == p->tid || is_hurried(p)
		    ? NULL
		    : free_slot(p);
	if (!f) {
		copy_page(p, r, page);
		return false;
	}
	f->region = r;
	f->page = page;
	f->deadline_ns = clock_now_ns() + PAGER_PATIENCE_NS;
	set_state(f, SLOT_ASKED);
	return true;
}

static void take_faults(struct pager *p)
{
	struct uffd_msg m[BATCH];
	bool asked = false;
	ssize_t n = read(p->uffd, m, sizeof(m));

	for (ssize_t i = 0; i < n / (ssize_t)sizeof(m[0]); i++)
		asked |= pager_begin(p, &m[i]);
	if (asked)
		pager_wake(p->io_fd);
}

/* Return: when to check the slot again, in ns; UINT64_MAX: at an event. */
static uint64_t look_at(struct pager *p, struct pager_fault *f, uint64_t now)
{
	uint32_t s = pager_state_of(f);

	if (s == SLOT_REFUSED) {
		copy_page(p, f->region, f->page);
		set_state(f, SLOT_FREE);
		return UINT64_MAX;
	}
	if (s != SLOT_ASKED)
		return UINT64_MAX;
	if (now < f->deadline_ns && !is_hurried(p))
		return f->deadline_ns;
	if (change_state(f, SLOT_ASKED, SLOT_TAKEN)) {
		/*
		 * The slot stays TAKEN until the I/O thread frees it, as it may
		 * still use it. A page that it maps now stays.
		 */
		copy_page(p, f->region, f->page);
		pager_wake(p->io_fd);
		return UINT64_MAX;
	}
	return now; /* it has answered just now */
}

static int look_at_all(struct pager *p)
{
	uint64_t now = clock_now_ns(), next = UINT64_MAX;

	for (unsigned i = 0; i < PAGER_SLOTS; i++)
		next = min_u64(next, look_at(p, &p->slots[i], now));
	if (next == UINT64_MAX)
		return -1;
	return next <= now ? 0 : (int)((next - now) / 1000000u + 1);
}

void pager_run(struct pager *p)
{
	struct pollfd fds[] = { { .fd = p->uffd, .events = POLLIN },
				{ .fd = p->own_fd, .events = POLLIN } };
	eventfd_t n;
	int ms;

	while (!atomic_load_explicit(&p->stop, memory_order_acquire)) {
		ms = look_at_all(p);
		if (poll(fds, ARRAY_SIZE(fds), ms) <= 0)
			continue;
		/* Before what was said by it is looked at. */
		if (fds[1].revents)
			(void)eventfd_read(p->own_fd, &n);
		if (fds[0].revents)
			take_faults(p);
	}
}

void pager_stop(struct pager *p)
{
	atomic_store_explicit(&p->stop, true, memory_order_release);
	pager_wake(p->own_fd);
}

/* --- the I/O thread --- */

int pager_event_fd(const struct pager *p)
{
	return p->io_fd;
}

int pager_uffd(const struct pager *p)
{
	return p->uffd;
}

uint64_t pager_fault_page(const struct pager_fault *f)
{
	return f->page;
}

static void pager_end(struct pager_fault *f)
{
	f->begun = false;
	set_state(f, SLOT_FREE);
}

void pager_mapped(struct pager *p, struct pager_fault *f)
{
	(void)p;
	pager_end(f);
}

void pager_refuse(struct pager *p, struct pager_fault *f)
{
	f->begun = false;
	if (change_state(f, SLOT_ASKED, SLOT_REFUSED))
		pager_wake(p->own_fd);
	else
		pager_end(f);
}

void pager_ready(struct pager *p)
{
	eventfd_t n;

	(void)eventfd_read(p->io_fd, &n);
	for (unsigned i = 0; i < PAGER_SLOTS; i++) {
		struct pager_fault *f = &p->slots[i];
		uint32_t s = f->begun ? SLOT_FREE : pager_state_of(f);

		if (s == SLOT_TAKEN)
			pager_end(f);
		if (s != SLOT_ASKED)
			continue;
		f->begun = true;
		f->region->serve(f->region, f);
	}
	for (unsigned i = 0; i < p->nr_regions; i++)
		p->regions[i]->turn(p->regions[i]);
}

void pager_hurry(struct pager *p, bool on)
{
	uint32_t now = atomic_load_explicit(&p->hurry, memory_order_relaxed);

	atomic_store_explicit(&p->hurry, on ? now + 1 : now - 1,
			      memory_order_release);
	if (on && !now)
		pager_wake(p->own_fd);
}

void pager_get_stats(const struct pager *p, struct pager_stats *out)
{
	out->faults = atomic_load_explicit(&p->faults, memory_order_relaxed);
	out->copied_pages =
		atomic_load_explicit(&p->copied, memory_order_relaxed);
}

/* --- life --- */

static int open_uffd(struct pager *p)
{
	const char *how = NULL;
	uint64_t have;

	p->uffd = uffd_open(O_CLOEXEC | O_NONBLOCK, &how);
	if (p->uffd < 0)
		return p->uffd;
	return how ? uffd_enable(p->uffd, FEATURES, &have) : -EPERM;
}

int pager_create(struct pager **out)
{
	struct pager *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return -ENOMEM;
	p->uffd = p->io_fd = p->own_fd = -1;
	p->tid = (uint32_t)gettid();
	err = posix_memalign((void **)&p->page, PAGE_BYTES, PAGE_BYTES)
		      ? -ENOMEM
		      : open_uffd(p);
	if (!err) {
		p->io_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		p->own_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (p->io_fd < 0 || p->own_fd < 0)
			err = -errno;
	}
	if (err) {
		pager_destroy(p);
		return err;
	}
	*out = p;
	return 0;
}

void pager_destroy(struct pager *p)
{
	if (!p)
		return;
	if (p->uffd >= 0)
		(void)close(p->uffd);
	if (p->io_fd >= 0)
		(void)close(p->io_fd);
	if (p->own_fd >= 0)
		(void)close(p->own_fd);
	free(p->page);
	free(p);
}

int pager_add(struct pager *p, struct pager_region *r)
{
	if (p->nr_regions == PAGER_MAX_REGIONS)
		return -ENOSPC;
	p->regions[p->nr_regions++] = r;
	return 0;
}
