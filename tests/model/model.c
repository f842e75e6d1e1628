/* SPDX-License-Identifier: BSD-2-Clause */
#define DISCO_MODEL 1
#include "tests/model/model.h"

#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "numa/atomic_ops.h"

#define WORDS	 12  /* shared words */
#define HISTORY	 32  /* values of one word */
#define OPS	 300 /* of one thread */
#define SEEN_MAX (1u << 22)

/* For each word how many values, and how many reads by each thread. */
struct view {
	uint8_t stores[WORDS];
	uint8_t reads[WORDS][MODEL_THREADS];
};

struct value {
	uint64_t v;
	struct view view; /* taken over by an acquire load */
};

struct word {
	unsigned nr; /* values */
	uint8_t nr_reads[MODEL_THREADS];
	unsigned writer; /* of all values but the first */
	struct value values[HISTORY];
};

enum op_kind {
	OP_NONE,
	OP_LOAD,
	OP_FENCE,
	OP_WAKE,
	OP_DRAIN,
	OP_WAIT,
	OP_CHANGE
};

struct op {
	enum op_kind kind;
	memory_order order;
	unsigned word;
};

struct thread {
	struct view now;     /* happened before */
	struct view acquire; /* would have, were the loads acquire */
	struct view release; /* at the last release fence */
	struct op next;
	bool done;
	unsigned nr_ops;
	uint64_t hash; /* of results since the last model_summary() */
	uint64_t results[OPS];
};

struct state {
	struct thread threads[MODEL_THREADS];
	struct word words[WORDS];
	struct view fences; /* passed on by seq_cst fences */
	struct view in_socket;
	unsigned bytes_in_socket;
	unsigned nr_wakes;
};

static const void *addresses[WORDS];
static unsigned nr_addresses;

/* The run of a thread that goes on now. */
static struct {
	struct state *s;
	struct thread *t;
	unsigned i;  /* its number */
	unsigned at; /* operation */
	jmp_buf stop;
	const char *violation;
} run;

static struct model_result *result;

/* Fingerprint of a state -> ways from it to an end. */
static struct {
	uint64_t key;
	double ways;
} * seen;

static void give_up(const char *what)
{
	fprintf(stderr, "model: %s\n", what);
	abort();
}

static unsigned word_of(const void *p)
{
	for (unsigned i = 0; i < nr_addresses; i++)
		if (addresses[i] == p)
			return i;
	if (nr_addresses == WORDS)
		give_up("too many shared words");
	addresses[nr_addresses] = p;
	return nr_addresses++;
}

/* A view is nothing but counters. */
static void join(struct view *a, const struct view *b)
{
	uint8_t *to = (uint8_t *)a;
	const uint8_t *from = (const uint8_t *)b;

	for (size_t i = 0; i < sizeof(*a); i++)
		to[i] = to[i] < from[i] ? from[i] : to[i];
}

static void meet(struct view *a, const struct view *b)
{
	uint8_t *to = (uint8_t *)a;
	const uint8_t *from = (const uint8_t *)b;

	for (size_t i = 0; i < sizeof(*a); i++)
		to[i] = to[i] > from[i] ? from[i] : to[i];
}

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15u;
	return h ^ (h >> 29);
}

static void violate(const char *what)
{
	run.violation = what;
	longjmp(run.stop, 1);
}

/* --- what the threads call ------------------------------------------------ */

static bool replayed(uint64_t *v)
{
	if (run.at == run.t->nr_ops)
		return false;
	*v = run.t->results[run.at++];
	return true;
}

static void record(struct thread *t, uint64_t v)
{
	if (t->nr_ops == OPS)
		give_up("a thread does not end");
	t->results[t->nr_ops++] = v;
	t->hash = mix(t->hash, v + 1);
	if (result->longest < t->nr_ops)
		result->longest = t->nr_ops;
}

/* The result of an operation that the search decides upon. */
static uint64_t ask(struct op op)
{
	uint64_t v;

	if (replayed(&v))
		return v;
	run.t->next = op;
	longjmp(run.stop, 1);
}

static void append(unsigned w, uint64_t v, const struct view *view)
{
	struct word *word = &run.s->words[w];

	if (word->nr == HISTORY)
		give_up("too many values of a word");
	if (word->nr > 1 && word->writer != run.i)
		give_up("a word with two writers");
	word->writer = run.i;
	run.t->now.stores[w] = (uint8_t)word->nr;
	run.t->acquire.stores[w] = (uint8_t)word->nr;
	word->values[word->nr].v = v;
	word->values[word->nr].view = *view;
	word->values[word->nr].view.stores[w] = (uint8_t)word->nr;
	word->nr++;
	record(run.t, 0);
	run.at++;
}

/* What the writer of a word reads there depends on nobody: done at once. */
static bool load_own(unsigned w, uint64_t *v)
{
	const struct word *word = &run.s->words[w];

	if (word->nr == 1 || word->writer != run.i)
		return false;
	if (replayed(v))
		return true;
	*v = word->values[word->nr - 1].v;
	record(run.t, *v);
	run.at++;
	return true;
}

uint64_t model_load(const void *p, memory_order order)
{
	unsigned w = word_of(p);
	uint64_t v;

	return load_own(w, &v) ? v : ask((struct op){ OP_LOAD, order, w });
}

void model_store(const void *p, uint64_t v, memory_order order)
{
	bool release = order != memory_order_relaxed;
	unsigned w = word_of(p);
	uint64_t done;

	if (!replayed(&done))
		append(w, v, release ? &run.t->now : &run.t->release);
}

void model_fence(memory_order order)
{
	ask((struct op){ OP_FENCE, order, 0 });
}

void model_copy_in(void *shared, const void *from, size_t bytes)
{
	unsigned w = word_of(shared);
	uint64_t v, done;

	if (replayed(&done))
		return;
	if (bytes != sizeof(v))
		give_up("messages are 8 bytes here");
	memcpy(&v, from, sizeof(v));
	if (memcmp(run.t->now.reads[w], run.s->words[w].nr_reads,
		   sizeof(run.t->now.reads[w])) != 0)
		violate("race: a slot is written that may still be read");
	append(w, v, &run.t->now);
}

/* Done at once as well: it can only read the newest value, or it is a race. */
void model_copy_out(void *to, const void *shared, size_t bytes)
{
	unsigned w = word_of(shared);
	struct word *word = &run.s->words[w];
	uint64_t v;

	if (!replayed(&v)) {
		if (run.t->now.stores[w] != word->nr - 1)
			violate("race: a slot is read that may be written");
		run.t->now.reads[w][run.i] = ++word->nr_reads[run.i];
		v = word->values[word->nr - 1].v;
		record(run.t, v);
		run.at++;
	}
	memcpy(to, &v, bytes);
}

/*
 * Stores that need no order of their own. Whoever may still read a word is found
 * by what it reads: a 0 in place of what was put.
 */
void model_discard(void *shared, size_t bytes)
{
	for (size_t i = 0; i < bytes / sizeof(uint64_t); i++)
		model_store((uint64_t *)shared + i, 0, memory_order_relaxed);
}

void model_wake(int fd)
{
	(void)fd;
	ask((struct op){ OP_WAKE, 0, 0 });
}

void model_drain(int fd)
{
	(void)fd;
	ask((struct op){ OP_DRAIN, 0, 0 });
}

void model_wait(int fd)
{
	(void)fd;
	ask((struct op){ OP_WAIT, 0, 0 });
}

void model_await_change(const void *p)
{
	ask((struct op){ OP_CHANGE, 0, word_of(p) });
}

unsigned model_nr_wakes(void)
{
	return run.s->nr_wakes;
}

uint64_t model_last(const void *p)
{
	const struct word *w = &run.s->words[word_of(p)];

	return w->values[w->nr - 1].v;
}

/* Only when it is reached for the first time: before the next operation. */
void model_summary(const uint64_t *words, size_t nr)
{
	if (run.at != run.t->nr_ops)
		return;
	run.t->hash = 1;
	for (size_t i = 0; i < nr; i++)
		run.t->hash = mix(run.t->hash, words[i]);
}

void model_assert(int holds, const char *what)
{
	if (!holds)
		violate(what);
}

/* --- the search ----------------------------------------------------------- */

static const struct model_program *program;

/* Goes on until the thread asks something, ends, or is wrong. */
static bool resume(struct state *s, unsigned i)
{
	run.s = s;
	run.t = &s->threads[i];
	run.i = i;
	run.at = 0;
	run.violation = NULL;
	run.t->next.kind = OP_NONE;
	if (setjmp(run.stop) == 0) {
		program->threads[i]();
		run.t->done = true;
	}
	if (run.violation)
		result->violation = run.violation;
	return !run.violation;
}

static void at_end(struct state *s)
{
	run.s = s;
	run.violation = NULL;
	if (setjmp(run.stop) == 0)
		program->at_end();
	if (run.violation)
		result->violation = run.violation;
}

/* How many results the next operation may have; 0: it is blocked. */
static unsigned nr_choices(const struct state *s, const struct thread *t)
{
	const struct word *w = &s->words[t->next.word];
	unsigned known = t->now.stores[t->next.word];

	switch (t->next.kind) {
	case OP_NONE:
		return 0;
	case OP_LOAD:
		return w->nr - known;
	case OP_WAIT:
		return s->bytes_in_socket != 0;
	case OP_CHANGE:
		return w->nr - known > 1;
	default:
		return 1;
	}
}

static void load(struct state *s, struct thread *t, unsigned choice)
{
	unsigned w = t->next.word, i = t->now.stores[w] + choice;
	const struct value *value = &s->words[w].values[i];

	join(&t->acquire, &value->view);
	if (t->next.order != memory_order_relaxed)
		join(&t->now, &value->view);
	t->now.stores[w] = (uint8_t)i;
	if (t->acquire.stores[w] < i)
		t->acquire.stores[w] = (uint8_t)i;
	record(t, value->v);
}

static void fence(struct state *s, struct thread *t)
{
	if (t->next.order != memory_order_release)
		join(&t->now, &t->acquire);
	if (t->next.order == memory_order_seq_cst) {
		join(&t->now, &s->fences);
		s->fences = t->now;
	}
	if (t->next.order != memory_order_acquire)
		t->release = t->now;
	join(&t->acquire, &t->now);
	record(t, 0);
}

/* Takes the next step of a thread with one of its results. */
static bool step(struct state *s, unsigned i, unsigned choice)
{
	struct thread *t = &s->threads[i];

	switch (t->next.kind) {
	case OP_LOAD:
		load(s, t, choice);
		break;
	case OP_FENCE:
		fence(s, t);
		break;
	case OP_WAKE:
		s->bytes_in_socket++;
		s->nr_wakes++;
		join(&s->in_socket, &t->now);
		record(t, 0);
		break;
	case OP_DRAIN:
		if (s->bytes_in_socket) {
			join(&t->now, &s->in_socket);
			join(&t->acquire, &s->in_socket);
		}
		s->bytes_in_socket = 0;
		record(t, 0);
		break;
	case OP_CHANGE:
		t->now.stores[t->next.word]++;
		record(t, 0);
		break;
	case OP_WAIT:
	case OP_NONE:
		record(t, 0);
		break;
	}
	result->nr_steps++;
	return resume(s, i);
}

/* What all know that still go on. */
static struct view known_to_all(const struct state *s)
{
	struct view v;

	memset(&v, UINT8_MAX, sizeof(v));
	for (unsigned i = 0; i < MODEL_THREADS; i++)
		if (!s->threads[i].done)
			meet(&v, &s->threads[i].now);
	for (unsigned w = 0; w < WORDS; w++) {
		const struct word *word = &s->words[w];

		if (v.stores[w] > word->nr - 1)
			v.stores[w] = (uint8_t)(word->nr - 1);
		for (unsigned i = 0; i < MODEL_THREADS; i++)
			if (v.reads[w][i] > word->nr_reads[i])
				v.reads[w][i] = word->nr_reads[i];
	}
	return v;
}

/*
 * What it knows more than all: only that makes a difference, and only that can
 * be told to somebody.
 */
static uint64_t mix_view(uint64_t h, const struct view *v,
			 const struct view *known)
{
	struct view more = *known;
	uint64_t w[sizeof(more) / 8];

	join(&more, v);
	for (size_t i = 0; i < sizeof(more); i++)
		((uint8_t *)&more)[i] -= ((const uint8_t *)known)[i];
	memcpy(w, &more, sizeof(w));
	for (unsigned i = 0; i < ARRAY_SIZE(w); i++)
		h = mix(h, w[i]);
	return h;
}

/* What somebody may still read. */
static uint64_t mix_words(uint64_t h, const struct state *s,
			  const struct view *known)
{
	for (unsigned w = 0; w < nr_addresses; w++) {
		const struct word *word = &s->words[w];

		h = mix(h, word->nr - known->stores[w]);
		for (unsigned i = 0; i < MODEL_THREADS; i++)
			h = mix(h, word->nr_reads[i] - known->reads[w][i]);
		for (unsigned i = known->stores[w]; i < word->nr; i++) {
			h = mix(h, word->values[i].v);
			h = mix_view(h, &word->values[i].view, known);
		}
	}
	return h;
}

static uint64_t fingerprint(const struct state *s)
{
	struct view known = known_to_all(s);
	uint64_t h = mix_words(1, s, &known);

	for (unsigned i = 0; i < MODEL_THREADS; i++) {
		const struct thread *t = &s->threads[i];

		h = mix(h, t->done);
		if (t->done)
			continue;
		h = mix(h, t->hash);
		h = mix_view(h, &t->now, &known);
		h = mix_view(h, &t->acquire, &known);
		h = mix_view(h, &t->release, &known);
	}
	h = mix_view(h, &s->fences, &known);
	h = mix_view(h, &s->in_socket, &known);
	h = mix(h, (uint64_t)s->nr_wakes << 32 | s->bytes_in_socket);
	return h ? h : 1;
}

static size_t place_of(uint64_t key)
{
	size_t i = (size_t)key % SEEN_MAX;

	while (seen[i].key && seen[i].key != key)
		i = (i + 1) % SEEN_MAX;
	return i;
}

/* Most of a state is room for results and values that there are not yet. */
static void copy_state(struct state *to, const struct state *from)
{
	for (unsigned i = 0; i < MODEL_THREADS; i++) {
		const struct thread *t = &from->threads[i];

		memcpy(&to->threads[i], t,
		       offsetof(struct thread, results[t->nr_ops]));
	}
	for (unsigned i = 0; i < WORDS; i++) {
		const struct word *w = &from->words[i];

		memcpy(&to->words[i], w, offsetof(struct word, values[w->nr]));
	}
	to->fences = from->fences;
	to->in_socket = from->in_socket;
	to->bytes_in_socket = from->bytes_in_socket;
	to->nr_wakes = from->nr_wakes;
}

static bool all_done(const struct state *s)
{
	for (unsigned i = 0; i < MODEL_THREADS; i++)
		if (!s->threads[i].done)
			return false;
	return true;
}

/* Ways from this state to an end. */
static double explore(struct state *s)
{
	uint64_t key = fingerprint(s);
	size_t place = place_of(key);
	bool stuck = true;
	double ways = 0;

	if (seen[place].key)
		return seen[place].ways;
	seen[place].key = key;
	if (++result->nr_states > SEEN_MAX / 2)
		give_up("too many states");
	if (all_done(s)) {
		ways = 1;
		at_end(s);
	}
	for (unsigned i = 0; i < MODEL_THREADS; i++) {
		unsigned nr = nr_choices(s, &s->threads[i]);

		for (unsigned c = 0; c < nr && !result->violation; c++) {
			struct state after;

			copy_state(&after, s);
			stuck = false;
			if (step(&after, i, c))
				ways += explore(&after);
		}
	}
	if (stuck && ways == 0)
		result->violation = "nothing goes on any more";
	seen[place].ways = ways;
	return ways;
}

void model_explore(const struct model_program *p, struct model_result *out)
{
	bool right = true;
	struct state s;

	memset(&s, 0, sizeof(s));
	for (unsigned w = 0; w < WORDS; w++)
		s.words[w].nr = 1; /* zero */
	*out = (struct model_result){ 0 };
	result = out;
	program = p;
	nr_addresses = 0;
	seen = calloc(SEEN_MAX, sizeof(*seen));
	if (!seen)
		give_up("no memory");
	for (unsigned i = 0; i < MODEL_THREADS; i++)
		if (p->threads[i])
			right = right && resume(&s, i);
		else
			s.threads[i].done = true;
	if (right)
		out->nr_schedules = explore(&s);
	free(seen);
}
