/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The states of a slot, all under the lock, and who changes them:
 *
 *	FREE	-> SET	  I/O, before the page is unmapped
 *	SET	-> FREE	  I/O: the kernel refused, or nobody came
 *	SET	-> TAKEN  faults: somebody ran into it
 *	TAKEN	-> AGAIN  faults, after the trap was taken away: first look
 *	TAKEN	-> FREE	  the same: second look
 *	AGAIN	-> SET, FREE	I/O, when it is due
 *
 * A page has one slot at most: one that has any is not chosen. While a slot is
 * TAKEN the I/O thread leaves the page alone, so it cannot set a trap that the
 * faults thread is about to take away.
 */
#include "memory/sampling/page_traps.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disco/clock.h"
#include "disco/pagemap.h"
#include "memory/pmap.h"
#include "memory/uffd.h"

#define FEATURES     (UFFD_FEATURE_MINOR_SHMEM | UFFD_FEATURE_THREAD_ID)
#define FIRST_PID_NS 0xEFFFFFFCul /* PROC_PID_INIT_INO: Linux's proc_ns.h */

enum trap_state { TRAP_FREE, TRAP_SET, TRAP_TAKEN, TRAP_AGAIN };

struct trap_slot {
	uint64_t page;
	uint64_t time_ns; /* when it was set; when it is due again */
	uint8_t state;	  /* enum trap_state */
	bool again;	  /* a second look */
};

struct page_traps {
	const struct ram_view *view; /* [I] */
	struct pmap *pm;	     /* [I]; contents: I/O thread */
	int fd, pagemap;	     /* [I] */
	pthread_mutex_t lock;	     /* held for some instructions */
	/* [L:lock] */
	struct trap_slot slots[PAGE_TRAPS_MAX];
	struct page_traps_counts counts;
	/* I/O thread writes; slots from there on have always been free */
	unsigned used;
	unsigned nr_set; /* slots that are TRAP_SET */
};

/* @how: out, see uffd_open() */
static int page_traps_open(const char **how)
{
	int fd = uffd_open(O_CLOEXEC | O_NONBLOCK, how), err;
	uint64_t have;

	if (fd < 0)
		return fd;
	err = *how ? uffd_enable(fd, FEATURES, &have) : -EPERM;
	if (!err)
		return fd;
	(void)close(fd);
	return err == -EINVAL ? -EOPNOTSUPP : err;
}

int page_traps_probe(void)
{
	const char *how = NULL;
	int fd = page_traps_open(&how);

	if (fd < 0)
		return fd;
	(void)close(fd);
	return uffd_by_capability(how) ? -EPERM : 0;
}

bool page_traps_first_pids(void)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) == 0 && st.st_ino == FIRST_PID_NS;
}

int page_traps_create(struct page_traps **out, const struct ram_view *view,
		      struct pmap *pm)
{
	struct page_traps *t = calloc(1, sizeof(*t));
	const char *how = NULL;
	int err;

	if (!t)
		return -ENOMEM;
	t->view = view;
	t->pm = pm;
	(void)pthread_mutex_init(&t->lock, NULL);
	t->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	t->fd = t->pagemap < 0 ? -errno : page_traps_open(&how);
	if (t->fd < 0) {
		err = t->fd;
		page_traps_destroy(t);
		return err;
	}
	*out = t;
	return 0;
}

void page_traps_destroy(struct page_traps *t)
{
	if (!t)
		return;
	/* The kernel drops all traps, and wakes who waits. */
	if (t->fd >= 0)
		(void)close(t->fd);
	if (t->pagemap >= 0)
		(void)close(t->pagemap);
	(void)pthread_mutex_destroy(&t->lock);
	free(t);
}

static uint8_t *page_traps_at(const struct page_traps *t, uint64_t page)
{
	return t->view->hva + page * PAGE_BYTES;
}

/* [L:lock] */
static void page_traps_become(struct page_traps *t, struct trap_slot *s,
			      enum trap_state state)
{
	t->nr_set += (state == TRAP_SET) - (s->state == TRAP_SET);
	s->state = state;
}

/* [L:lock] NULL: the page has none. */
static struct trap_slot *page_traps_find(struct page_traps *t, uint64_t page)
{
	for (unsigned i = 0; i < t->used; i++)
		if (t->slots[i].state != TRAP_FREE && t->slots[i].page == page)
			return &t->slots[i];
	return NULL;
}

/* [L:lock] NULL: all are in use. */
static struct trap_slot *page_traps_free_slot(struct page_traps *t)
{
	for (unsigned i = 0; i < t->used; i++)
		if (t->slots[i].state == TRAP_FREE)
			return &t->slots[i];
	return t->used < PAGE_TRAPS_MAX ? &t->slots[t->used++] : NULL;
}

/* Is it a page of RAM that is mapped, and stays so while this thread runs? */
static bool page_traps_wants(const struct page_traps *t, uint64_t page)
{
	const uint64_t mapped = PM_PRESENT | PM_FILE;
	uint64_t e, at = (uintptr_t)page_traps_at(t, page) / PAGE_BYTES;

	return pmap_is_ram(t->pm, page) &&
	       pagemap_read(t->pagemap, at, &e, 1) == 1 &&
	       (e & (mapped | PM_SWAP)) == mapped;
}

/* --- the I/O thread ------------------------------------------------------- */

/* A slot that this thread has put into TRAP_SET. Return: whether it is a trap. */
static bool page_traps_spring(struct page_traps *t, struct trap_slot *s,
			      uint64_t page, bool wanted)
{
	int err = 0;

	if (wanted) {
		pmap_split(t->pm, page);
		err = uffd_trap(t->fd, page_traps_at(t, page));
	}
	(void)pthread_mutex_lock(&t->lock);
	t->counts.set += wanted && !err;
	t->counts.skipped += !wanted;
	t->counts.failed += err != 0;
	/* Of a trap that failed, a fault may have been taken meanwhile. */
	if ((!wanted || err) && s->state == TRAP_SET)
		page_traps_become(t, s, TRAP_FREE);
	(void)pthread_mutex_unlock(&t->lock);
	return wanted && !err;
}

/* Return: whether the page is trapped now. @full: out, there is no slot. */
static bool page_traps_set(struct page_traps *t, uint64_t page, bool *full)
{
	bool wanted = page_traps_wants(t, page), known = false;
	struct trap_slot *s = NULL;

	(void)pthread_mutex_lock(&t->lock);
	if (wanted)
		known = page_traps_find(t, page);
	if (wanted && !known)
		s = page_traps_free_slot(t);
	if (s) {
		*s = (struct trap_slot){ .page = page,
					 .time_ns = clock_now_ns() };
		page_traps_become(t, s, TRAP_SET);
	}
	t->counts.skipped += !s;
	(void)pthread_mutex_unlock(&t->lock);
	*full = wanted && !known && !s;
	return s && page_traps_spring(t, s, page, true);
}

/*
 * What a slot is now, by the time. Return: the state that it was in: TRAP_SET:
 * it is free, and its trap is to be taken away; TRAP_AGAIN: it is set, and its
 * trap is to be set; TRAP_FREE: nothing.
 */
static enum trap_state page_traps_age(struct page_traps *t, struct trap_slot *s,
				      uint64_t now_ns, bool off, bool may_set)
{
	enum trap_state was = TRAP_FREE;

	(void)pthread_mutex_lock(&t->lock);
	if (s->state == TRAP_SET &&
	    (off || now_ns >= s->time_ns + PAGE_TRAPS_LIFE_NS)) {
		was = TRAP_SET;
		page_traps_become(t, s, TRAP_FREE);
		t->counts.expired++;
	} else if (s->state == TRAP_AGAIN && off) {
		page_traps_become(t, s, TRAP_FREE);
	} else if (s->state == TRAP_AGAIN && may_set && now_ns >= s->time_ns) {
		was = TRAP_AGAIN;
		page_traps_become(t, s, TRAP_SET);
		s->again = true;
		s->time_ns = clock_now_ns();
	}
	(void)pthread_mutex_unlock(&t->lock);
	return was;
}

/*
 * Is there anything to go over? Where the share of a CPU is used up, no look is due,
 * and all traps have ended before long: were the slots that wait for their second
 * look gone over all the same, that alone could take the share, for ever.
 */
static bool page_traps_has_work(struct page_traps *t, bool off, unsigned most)
{
	bool has;

	(void)pthread_mutex_lock(&t->lock);
	has = off || most || t->nr_set;
	t->counts.steps += has ? t->used : 0;
	(void)pthread_mutex_unlock(&t->lock);
	return has;
}

/* Old traps, and second looks, @most of these. Return: how many of these. */
static unsigned page_traps_go_over(struct page_traps *t, uint64_t now_ns,
				   bool off, unsigned most)
{
	unsigned set = 0;

	if (!page_traps_has_work(t, off, most))
		return 0;
	for (unsigned i = 0; i < t->used; i++) {
		struct trap_slot *s = &t->slots[i];
		uint64_t page = s->page; /* this thread alone writes it */

		switch (page_traps_age(t, s, now_ns, off, set < most)) {
		case TRAP_SET:
			/*
			 * What cannot be unregistered stays mapped, and its
			 * next fault is one at no trap.
			 */
			(void)uffd_untrap(t->fd, page_traps_at(t, page));
			break;
		case TRAP_AGAIN:
			set += page_traps_spring(t, s, page,
						 page_traps_wants(t, page));
			break;
		default:
			break;
		}
	}
	return set;
}

void page_traps_turn(struct page_traps *t, struct sampler *s, uint64_t now_ns)
{
	unsigned due = (unsigned)min_u64(sampler_due(s, now_ns),
					 PAGE_TRAPS_TURN / PAGE_TRAPS_TRIES);
	bool off = !s->ns_per_page, full = false;
	unsigned set = page_traps_go_over(t, now_ns, off, due);

	for (unsigned i = set; i < due * PAGE_TRAPS_TRIES && set < due && !full;
	     i++)
		set += page_traps_set(t, sampler_next(s), &full);
	/*
	 * Where most pages are not in use, fewer are found than are due: then
	 * this turn has had its tries.
	 */
	sampler_spend(s, now_ns, due, 0);
}

/* --- the faults thread ---------------------------------------------------- */

/* Return: the slot, now TAKEN; NULL: there is no trap at the page. */
static struct trap_slot *page_traps_take(struct page_traps *t, uint64_t page)
{
	struct trap_slot *s;

	(void)pthread_mutex_lock(&t->lock);
	s = page_traps_find(t, page);
	if (s && s->state != TRAP_SET)
		s = NULL;
	if (s)
		page_traps_become(t, s, TRAP_TAKEN);
	(void)pthread_mutex_unlock(&t->lock);
	return s;
}

static void page_traps_give_back(struct page_traps *t, struct trap_slot *s,
				 uint64_t now_ns)
{
	(void)pthread_mutex_lock(&t->lock);
	t->counts.faults++;
	page_traps_become(t, s, s->again ? TRAP_FREE : TRAP_AGAIN);
	s->time_ns = now_ns + PAGE_TRAPS_AGAIN_NS;
	(void)pthread_mutex_unlock(&t->lock);
}

/* @at: page-aligned; whatever it is, who waits there goes on. */
static int page_traps_fault(struct page_traps *t, uint8_t *at,
			    const struct uffd_msg *m,
			    struct page_trap_fault *out)
{
	uint64_t off = (uintptr_t)at - (uintptr_t)t->view->hva;
	bool inside = (uintptr_t)at >= (uintptr_t)t->view->hva &&
		      off < t->view->bytes;
	uint64_t now_ns = clock_now_ns();
	struct trap_slot *s = inside ? page_traps_take(t, off / PAGE_BYTES)
				     : NULL;

	if (s)
		*out = (struct page_trap_fault){
			.page = s->page,
			.latency_ns = now_ns - min_u64(now_ns, s->time_ns),
			.thread = m->arg.pagefault.feat.ptid,
			.write = m->arg.pagefault.flags &
				 UFFD_PAGEFAULT_FLAG_WRITE,
			.again = s->again,
		};
	(void)uffd_untrap(t->fd, at);
	if (s)
		page_traps_give_back(t, s, now_ns);
	return s != NULL;
}

int page_traps_wait(struct page_traps *t, struct page_trap_fault *out)
{
	struct pollfd p = { t->fd, POLLIN, 0 };
	struct uffd_msg m;
	ssize_t n;

	if (poll(&p, 1, -1) < 0)
		return errno == EINTR ? 0 : -errno;
	n = read(t->fd, &m, sizeof(m));
	/* EAGAIN: who waited goes on already, as its trap was taken away. */
	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -errno;
	if (n != (ssize_t)sizeof(m) || m.event != UFFD_EVENT_PAGEFAULT)
		return 0;
	return page_traps_fault(t,
				(uint8_t *)(uintptr_t)(m.arg.pagefault.address &
						       ~(PAGE_BYTES - 1ull)),
				&m, out);
}

int page_traps_fd(const struct page_traps *t)
{
	return t->fd;
}

void page_traps_get_counts(struct page_traps *t, struct page_traps_counts *out)
{
	(void)pthread_mutex_lock(&t->lock);
	*out = t->counts;
	(void)pthread_mutex_unlock(&t->lock);
}
