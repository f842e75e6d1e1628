/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The texts of memory/replica/home.c and holder.c in all interleavings of small
 * systems: holders on two nodes, whose guests read and write one or two pages;
 * messages under way in both directions; holders that die, join and are linked
 * again; a home that dies and is followed by another one; a device that writes.
 * And with bugs planted in either text (tests/model/mutate), each of which must
 * be found.
 *
 * What holds in every state: a page that a guest may write has no replica that
 * another one shows; whatever a guest shows equals the segment; memory of a
 * replica that somebody shows was not given back. And in every state in which
 * nothing is under way: no guest waits, and where all pages are plain there is
 * no replica and no holder of one.
 *
 * A state is a struct without pointers into itself but those of the two texts,
 * so it is saved and put back by assignment. Counts of events are no part of a
 * state; bounds on how often an action is taken are.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/model/holder_variant.h"
#include "tests/model/home_variant.h"

#define HOLDERS 3u
#define PAGES	2u
#define NODES	2u
#define QUEUE	8u
#define DEAD	255u /* memory that was given back */

extern const struct home_variant home_0, home_1, home_2, home_3, home_4, home_5,
	home_6, home_7, home_8, home_9, home_10, home_11, home_12, home_13,
	home_14;
extern const struct holder_variant holder_0, holder_1, holder_2, holder_3,
	holder_4, holder_5, holder_6, holder_7;

struct queue {
	struct replica_msg m[QUEUE];
	uint8_t nr;
};

/* One VM: its view of the pages, its one thread, its ends of the link. */
struct vm {
	struct holder holder;
	uint64_t shown, waiting; /* the holder's bitmaps */
	uint8_t alive, known;	 /* to the home */
	uint8_t linked;		 /* to the home that there is now */
	uint8_t replica[PAGES], guarded[PAGES], busy[PAGES];
	uint8_t wants[PAGES];	/* the guest waits to write */
	uint8_t faulted[PAGES]; /* and its holder does not know yet */
	uint8_t retries[PAGES]; /* was woken, and tries again */
	uint8_t old_link;	/* has not heard of its new one yet */
	struct queue to, from;	/* the holder, the home */
};

static struct system {
	struct home home;
	struct home_page pages[PAGES];
	struct vm vms[HOLDERS];
	uint8_t segment[PAGES], copy[NODES][PAGES];
	/* How often each may still be done. */
	uint8_t writes, replications, kills, deaths, joins, dmas, relinks;
} s;

/* What is explored now. */
static const struct home_variant *home_code;
static const struct holder_variant *holder_code;
static const struct scenario *scenario;
static const char *violation;
static uint64_t nr_states;

struct scenario {
	const char *name;
	unsigned nr_pages, limit;
	uint8_t node[HOLDERS]; /* of each */
	uint8_t joins_later;   /* one bit per holder that is not there yet */
	uint8_t writes, replications, kills, deaths, dmas, relinks;
	uint8_t hides_all; /* see op_hide() */
};

static void violate(const char *what)
{
	if (!violation)
		violation = what;
}

/* --- what the texts do --------------------------------------------------- */

static bool push(struct queue *q, const struct replica_msg *m)
{
	if (q->nr == QUEUE)
		return false;
	q->m[q->nr++] = *m;
	return true;
}

static struct replica_msg pop(struct queue *q)
{
	struct replica_msg m = q->m[0];

	q->nr--;
	memmove(q->m, q->m + 1, q->nr * sizeof(q->m[0]));
	memset(&q->m[q->nr], 0, sizeof(q->m[0]));
	return m;
}

static bool op_home_send(void *arg, unsigned holder,
			 const struct replica_msg *m)
{
	struct vm *vm = &s.vms[holder];

	(void)arg;
	if (!vm->alive || !vm->linked)
		return true;
	if (!push(&vm->to, m))
		violate("a queue is full");
	return true;
}

static int op_copy(void *arg, uint32_t page, unsigned node)
{
	(void)arg;
	s.copy[node][page] = s.segment[page];
	return 0;
}

static void op_drop(void *arg, uint32_t page, unsigned node)
{
	(void)arg;
	s.copy[node][page] = DEAD;
}

static void op_late(void *arg, unsigned holder)
{
	(void)arg;
	(void)holder;
	violate("somebody is late, and time does not pass");
}

static const struct home_ops home_ops = { op_home_send, op_copy, op_drop,
					  op_late, NULL };

static int op_protect(void *arg, uint32_t first, uint32_t nr)
{
	struct vm *vm = arg;

	for (uint32_t p = first; p < first + nr; p++)
		if (vm->busy[p])
			return nr == 1 ? -16 : -11;
	for (uint32_t p = first; p < first + nr; p++)
		vm->guarded[p] = 1;
	return 0;
}

static int op_show(void *arg, uint32_t page)
{
	struct vm *vm = arg;

	vm->replica[page] = 1;
	vm->guarded[page] = 1;
	return 0;
}

/* Where there is no room for another mapping, of all pages that are shown. */
static int op_hide(void *arg, uint32_t page, struct holder_range *hidden)
{
	struct vm *vm = arg;
	bool all = scenario->hides_all && vm->shown == (1u << PAGES) - 1;

	*hidden = all ? (struct holder_range){ 0, PAGES }
		      : (struct holder_range){ page, 1 };
	for (uint32_t p = hidden->first; p < hidden->first + hidden->nr; p++) {
		vm->replica[p] = 0;
		vm->guarded[p] = 1;
	}
	return 0;
}

static void op_allow(void *arg, uint32_t first, uint32_t nr)
{
	struct vm *vm = arg;

	for (uint32_t p = first; p < first + nr; p++) {
		vm->guarded[p] = 0;
		vm->retries[p] |= vm->wants[p];
		vm->wants[p] = 0;
	}
}

static bool op_send(void *arg, const struct replica_msg *m)
{
	struct vm *vm = arg;

	if (!vm->linked)
		return false;
	if (vm->old_link)
		return true; /* nobody reads it */
	if (!push(&vm->from, m))
		violate("a queue is full");
	return true;
}

static const struct holder_ops holder_ops = { op_protect, op_show, op_hide,
					      op_allow, op_send };

/* --- what is always true ------------------------------------------------- */

static void check_page(const struct vm *vm, unsigned node, unsigned p)
{
	uint8_t sees = vm->replica[p] ? s.copy[node][p] : s.segment[p];

	if (vm->replica[p] && sees == DEAD)
		violate("memory that is shown was given back");
	if (sees != s.segment[p])
		violate("a stale read");
	if (vm->replica[p] && !vm->guarded[p])
		violate("a replica may be written");
	for (unsigned i = 0; (!vm->guarded[p] || vm->busy[p]) && i < HOLDERS;
	     i++)
		if (s.vms[i].alive && s.vms[i].replica[p])
			violate("a write while a replica is shown");
}

static bool under_way(void)
{
	if (!s.home.complete)
		return true;
	for (unsigned i = 0; i < HOLDERS; i++) {
		const struct vm *vm = &s.vms[i];

		if (vm->alive != vm->known)
			return true;
		if (!vm->alive)
			continue;
		if (!vm->linked || vm->old_link || vm->to.nr || vm->from.nr)
			return true;
		for (unsigned p = 0; p < scenario->nr_pages; p++)
			if (vm->faulted[p] || vm->retries[p] || vm->busy[p])
				return true;
	}
	return s.home.lists[HOME_QUIET].first != HOME_NONE;
}

static void check_rest(void)
{
	for (unsigned i = 0; i < HOLDERS; i++)
		for (unsigned p = 0; p < scenario->nr_pages; p++)
			if (s.vms[i].alive && s.vms[i].wants[p])
				violate("a writer is forgotten");
	for (unsigned p = 0; p < scenario->nr_pages; p++) {
		if (s.pages[p].pending)
			violate("an answer that never comes");
		if (s.pages[p].state != HOME_PLAIN)
			continue;
		if (s.pages[p].held || s.pages[p].copied)
			violate("a plain page has a reference");
		for (unsigned i = 0; i < HOLDERS; i++)
			if (s.vms[i].alive && s.vms[i].replica[p])
				violate("a plain page has a replica");
	}
	for (unsigned p = 0; p < PAGES; p++)
		if (s.pages[p].state == HOME_SHARED && !s.pages[p].held)
			violate("nobody shows the copies of a page");
	for (unsigned n = 0; n < NODES; n++)
		if (s.home.stats.copies[n] > scenario->limit)
			violate("more copies than the limit");
}

static void check(void)
{
	for (unsigned i = 0; i < HOLDERS; i++)
		for (unsigned p = 0; s.vms[i].alive && p < scenario->nr_pages;
		     p++)
			check_page(&s.vms[i], scenario->node[i], p);
	if (!under_way())
		check_rest();
}

/* --- actions ------------------------------------------------------------- */

/* Return: false: cannot be done now. Each has an operand. */
typedef bool action(unsigned i, unsigned p);

static bool act_deliver_to(unsigned i, unsigned p)
{
	struct vm *vm = &s.vms[i];
	struct replica_msg m;
	int err;

	if (p || !vm->alive || !vm->linked || vm->old_link || !vm->to.nr)
		return false;
	/* A reset waits for devices: see segment_map_protect(). */
	for (unsigned q = 0; q < scenario->nr_pages; q++)
		if (vm->to.m[0].kind == REPLICA_RESET && vm->busy[q])
			return false;
	m = pop(&vm->to);
	err = holder_code->receive(&vm->holder, &m);
	if (err)
		violate("a holder refuses a message");
	return true;
}

static bool act_deliver_from(unsigned i, unsigned p)
{
	struct vm *vm = &s.vms[i];
	struct replica_msg m;

	/* What a dead one has sent arrives, too. */
	if (p || !vm->known || !vm->linked || !vm->from.nr)
		return false;
	m = pop(&vm->from);
	if (home_code->receive(&s.home, i, &m, 0))
		violate("the home refuses a message");
	return true;
}

static bool act_deliver_fault(unsigned i, unsigned p)
{
	struct vm *vm = &s.vms[i];

	if (!vm->alive || !vm->faulted[p])
		return false;
	vm->faulted[p] = 0;
	if (holder_code->fault(&vm->holder, p) && vm->linked)
		violate("a fault is refused");
	return true;
}

static bool act_write(unsigned i, unsigned p)
{
	struct vm *vm = &s.vms[i];

	if (!vm->alive || vm->wants[p] || vm->retries[p] || !s.writes)
		return false;
	s.writes--;
	if (vm->guarded[p])
		vm->wants[p] = vm->faulted[p] = 1;
	else
		s.segment[p]++;
	return true;
}

static bool act_retry(unsigned i, unsigned p)
{
	struct vm *vm = &s.vms[i];

	if (!vm->alive || !vm->retries[p])
		return false;
	vm->retries[p] = 0;
	if (vm->guarded[p])
		vm->wants[p] = vm->faulted[p] = 1;
	else
		s.segment[p]++;
	return true;
}

/* A device has pinned the page, and writes to it until it is done. */
static bool act_dma(unsigned i, unsigned p)
{
	struct vm *vm = &s.vms[i];

	if (!vm->alive)
		return false;
	if (vm->busy[p]) {
		vm->busy[p] = 0;
		s.segment[p]++;
		return true;
	}
	if (!s.dmas || vm->guarded[p])
		return false;
	s.dmas--;
	vm->busy[p] = 1;
	return true;
}

static bool act_replicate(unsigned i, unsigned p)
{
	if (i || !s.replications)
		return false;
	s.replications--;
	return home_code->replicate(&s.home, p, 1u << 1, 0) == 0;
}

static bool act_turn(unsigned i, unsigned p)
{
	if (i || p || s.home.lists[HOME_QUIET].first == HOME_NONE)
		return false;
	(void)home_code->turn(&s.home, 0);
	return true;
}

static bool act_kill(unsigned i, unsigned p)
{
	if (p || !s.vms[i].alive || !s.kills)
		return false;
	s.kills--;
	s.vms[i].alive = 0;
	return true;
}

static bool act_learn_of_death(unsigned i, unsigned p)
{
	struct vm *vm = &s.vms[i];

	if (p || vm->alive || !vm->known)
		return false;
	memset(vm, 0, sizeof(*vm));
	home_code->remove(&s.home, i);
	return true;
}

/*
 * Its channel is a new one; what was in the old one is lost. It hears of it
 * later, unless it is its first one.
 */
static bool act_link(unsigned i, unsigned p)
{
	struct vm *vm = &s.vms[i];

	if (p || !vm->alive || vm->linked)
		return false;
	memset(&vm->to, 0, sizeof(vm->to));
	memset(&vm->from, 0, sizeof(vm->from));
	vm->linked = vm->known = 1;
	vm->old_link = vm->holder.linked;
	home_code->add(&s.home, i, scenario->node[i], 0);
	return true;
}

static bool act_complete(unsigned i, unsigned p)
{
	if (i || p || s.home.complete)
		return false;
	for (unsigned k = 0; k < HOLDERS; k++)
		if (s.vms[k].alive && !s.vms[k].linked)
			return false;
	home_code->complete(&s.home);
	return true;
}

/* The home is told first; what is under way in the old link is lost. */
static bool act_relink(unsigned i, unsigned p)
{
	struct vm *vm = &s.vms[i];

	if (p || !vm->alive || !vm->linked || vm->old_link || !s.relinks)
		return false;
	s.relinks--;
	memset(&vm->to, 0, sizeof(vm->to));
	memset(&vm->from, 0, sizeof(vm->from));
	vm->old_link = 1;
	home_code->add(&s.home, i, scenario->node[i], 0);
	return true;
}

static bool act_pick_up(unsigned i, unsigned p)
{
	struct vm *vm = &s.vms[i];

	if (p || !vm->alive || !vm->old_link)
		return false;
	vm->old_link = 0;
	if (holder_code->unlink(&vm->holder))
		violate("unlink fails");
	return true;
}

static void new_vm(unsigned i)
{
	struct vm *vm = &s.vms[i];

	memset(vm, 0, sizeof(*vm));
	vm->alive = 1;
	memset(vm->guarded, 1, sizeof(vm->guarded));
	holder_code->init(&vm->holder, scenario->nr_pages, &holder_ops, vm,
			  &vm->shown, &vm->waiting);
}

static bool act_join(unsigned i, unsigned p)
{
	if (p || !(s.joins >> i & 1))
		return false;
	s.joins &= (uint8_t) ~(1u << i);
	new_vm(i);
	return true;
}

static void new_home(void)
{
	const struct home_config c = { .nr_pages = scenario->nr_pages,
				       .bound_ns = 1, /* time stands still */
				       .limit = scenario->limit };

	memset(s.pages, 0, sizeof(s.pages));
	home_code->init(&s.home, &c, &home_ops, NULL, s.pages);
}

static bool act_home_dies(unsigned i, unsigned p)
{
	if (i || p || !s.deaths)
		return false;
	s.deaths--;
	new_home();
	for (unsigned k = 0; k < HOLDERS; k++)
		s.vms[k].linked = s.vms[k].known = s.vms[k].old_link = 0;
	return true;
}

static action *const actions[] = {
	act_deliver_to, act_deliver_from,   act_deliver_fault, act_write,
	act_dma,	act_replicate,	    act_turn,	       act_kill,
	act_link,	act_learn_of_death, act_join,	       act_home_dies,
	act_retry,	act_relink,	    act_pick_up,       act_complete,
};

/* --- search -------------------------------------------------------------- */

#define SEEN_BITS 22u
static uint64_t *seen; /* 1 << SEEN_BITS fingerprints; 0: free */

static uint64_t hash_bytes(uint64_t h, const void *at, size_t bytes)
{
	const uint8_t *b = at;

	for (size_t i = 0; i < bytes; i++)
		h = (h ^ b[i]) * 0x100000001b3ull;
	return h ^ h >> 29;
}

/* Turns only have to be told apart: their differences count. */
static uint64_t fingerprint(void)
{
	uint64_t h = 0xcbf29ce484222325ull;

	h = hash_bytes(h, s.pages, sizeof(s.pages));
	h = hash_bytes(h, s.home.holders, HOLDERS * sizeof(s.home.holders[0]));
	h = hash_bytes(h, s.home.lists, sizeof(s.home.lists));
	h = hash_bytes(h, &s.home.recovering, sizeof(bool));
	h = hash_bytes(h, &s.home.complete, sizeof(bool));
	h = hash_bytes(h, s.home.stats.copies,
		       NODES * sizeof(s.home.stats.copies[0]));
	h = hash_bytes(h, s.vms, sizeof(s) - offsetof(struct system, vms));
	return h ? h : 1;
}

/* Return: true: it is new. */
static bool remember(void)
{
	uint64_t key = fingerprint();
	uint64_t at = key >> (64 - SEEN_BITS);

	while (seen[at] && seen[at] != key)
		at = (at + 1) & ((1u << SEEN_BITS) - 1);
	if (seen[at])
		return false;
	seen[at] = key;
	nr_states++;
	if (nr_states > 3u << (SEEN_BITS - 2))
		violate("too many states for this test");
	return true;
}

static void explore(void)
{
	struct system saved;

	check();
	if (violation || !remember())
		return;
	saved = s;
	for (unsigned a = 0; a < sizeof(actions) / sizeof(actions[0]); a++)
		for (unsigned i = 0; i < HOLDERS; i++)
			for (unsigned p = 0; p < scenario->nr_pages; p++) {
				if (actions[a](i, p))
					explore();
				if (violation)
					return;
				s = saved;
			}
}

static void run_scenario(const struct scenario *sc)
{
	scenario = sc;
	memset(&s, 0, sizeof(s));
	memset(seen, 0, sizeof(*seen) << SEEN_BITS);
	s.writes = sc->writes;
	s.replications = sc->replications;
	s.kills = sc->kills;
	s.deaths = sc->deaths;
	s.dmas = sc->dmas;
	s.relinks = sc->relinks;
	s.joins = sc->joins_later;
	new_home();
	for (unsigned i = 0; i < HOLDERS; i++)
		if (!(sc->joins_later >> i & 1) && sc->node[i] < NODES)
			new_vm(i);
	explore();
}

#define NOBODY 9 /* a node that there is not: no such holder */

static const struct scenario scenarios[] = {
	{ "two write, one shows",
	  1,
	  4,
	  { 0, 1, NOBODY },
	  0,
	  3,
	  2,
	  0,
	  0,
	  0,
	  0,
	  0 },
	{ "two show, one writes", 1, 4, { 0, 1, 1 }, 0, 1, 2, 0, 0, 0, 0, 0 },
	{ "one dies", 1, 4, { 0, 1, 1 }, 0, 1, 1, 1, 0, 0, 0, 0 },
	{ "one joins", 1, 4, { 0, 1, 1 }, 4, 1, 1, 0, 0, 0, 0, 0 },
	{ "the home dies", 1, 4, { 0, 1, NOBODY }, 0, 1, 2, 0, 1, 0, 0, 0 },
	{ "a device", 1, 4, { 0, 1, NOBODY }, 0, 1, 2, 0, 0, 2, 0, 0 },
	{ "one is linked again",
	  1,
	  4,
	  { 0, 1, NOBODY },
	  0,
	  1,
	  2,
	  0,
	  0,
	  0,
	  1,
	  0 },
	{ "room for one", 2, 1, { 0, 1, NOBODY }, 0, 1, 3, 0, 0, 0, 0, 0 },
	{ "a page goes with another",
	  2,
	  4,
	  { 0, 1, NOBODY },
	  0,
	  1,
	  2,
	  0,
	  0,
	  0,
	  0,
	  1 },
};

/* Return: what was violated; NULL: nothing. */
static const char *run_all(const struct home_variant *home,
			   const struct holder_variant *holder, bool report)
{
	home_code = home;
	holder_code = holder;
	violation = NULL;
	for (unsigned i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]);
	     i++) {
		nr_states = 0;
		run_scenario(&scenarios[i]);
		if (report)
			print_message("# %s: %llu states\n", scenarios[i].name,
				      (unsigned long long)nr_states);
		if (violation)
			return violation;
	}
	return NULL;
}

static void nothing_is_violated(void **state)
{
	const char *v = run_all(&home_0, &holder_0, true);

	(void)state;
	if (v)
		fail_msg("%s: %s", scenario->name, v);
}

static void bugs_of_the_home_are_found(void **state)
{
	static const struct home_variant *const bugs[] = {
		&home_1,  &home_2,  &home_3,  &home_4,	&home_5,
		&home_6,  &home_7,  &home_8,  &home_9,	&home_10,
		&home_11, &home_12, &home_13, &home_14,
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(bugs) / sizeof(bugs[0]); i++) {
		const char *v = run_all(bugs[i], &holder_0, false);

		if (!v)
			fail_msg("home: bug %u is not found", i + 1);
		print_message("# home, bug %u: %s (%s)\n", i + 1, v,
			      scenario->name);
	}
}

static void bugs_of_holders_are_found(void **state)
{
	static const struct holder_variant *const bugs[] = {
		&holder_1, &holder_2, &holder_3, &holder_4,
		&holder_5, &holder_6, &holder_7,
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(bugs) / sizeof(bugs[0]); i++) {
		const char *v = run_all(&home_0, bugs[i], false);

		if (!v)
			fail_msg("holder: bug %u is not found", i + 1);
		print_message("# holder, bug %u: %s (%s)\n", i + 1, v,
			      scenario->name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_violated),
		cmocka_unit_test(bugs_of_the_home_are_found),
		cmocka_unit_test(bugs_of_holders_are_found),
	};

	seen = calloc(1u << SEEN_BITS, sizeof(*seen));
	if (!seen)
		return 1;
	return cmocka_run_group_tests_name("replica_model", tests, NULL, NULL);
}
