/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The way of a page, from a miss to its move, without a lab: two guests, each
 * with the network of gates of bench/guest/netlist.c, on CPUs of a machine that
 * lab/flash.c models. All memory of a guest is on the next node at first.
 * Misses, hot pages, records, engines and policies are the product's; a move is
 * a copy by the CPU of the page's home.
 *
 * What bench-locality shows of stock guests, with everything else that a machine
 * does, in the lab.
 */
#include <stdlib.h>

#include "memory/placement/engine.h"
#include "memory/sources/source_flash.h"
#include "tests/unit/placement/model_machine.h"
#include "tests/unit/support.h"

#define GUESTS		  2u
#define GATES		  (1u << 17) /* of a guest: 8 MiB */
#define GATE		  64u
#define PAGES		  (GATES * GATE / PAGE_BYTES)
#define EVENTS		  2400000u
#define INSTRUCTIONS	  100u /* of an event */
#define AT_ONCE		  64u  /* events of a CPU, before the next CPU's */
#define TURN_NS		  20000000ull
#define BATCH		  128u
#define MOVE_INSTRUCTIONS 4000u /* of a page, beside its misses */
#define LOCAL_NS	  300u
#define REMOTE_NS	  900u

struct gate {
	uint32_t in[2], out[2], state;
};

static struct gate *gates[GUESTS];
static uint32_t at[GUESTS], frame_of[GUESTS][PAGES];
static uint32_t owner_of[MODEL_NODES * MODEL_FRAMES]; /* guest, page; 0: none */
static uint32_t next_free[MODEL_NODES];
static struct placement *engines[GUESTS];
static struct access_source *source;
static struct flash_clock ticks;
static uint32_t seed;

static uint32_t draw(void)
{
	seed = seed * 1664525 + 1013904223;
	return seed >> 4;
}

/* 7 of 8 connections lead to a quarter of the gates. */
static uint32_t draw_gate(void)
{
	return draw() % 8 ? draw() % (GATES / 4) : draw() % GATES;
}

/* A frame of a node that nobody has. Those that are left are not used again. */
static uint32_t free_frame(unsigned node)
{
	assert_true(next_free[node] + 1 < MODEL_FRAMES);
	return node * MODEL_FRAMES + ++next_free[node];
}

static void put_page(unsigned guest, uint32_t page, uint32_t frame)
{
	owner_of[frame_of[guest][page]] = 0;
	frame_of[guest][page] = frame;
	owner_of[frame] = guest << 16 | (page + 1);
}

static bool find(void *arg, uint64_t frame, uint32_t *vm, uint64_t *page)
{
	(void)arg;
	if (frame >= ARRAY_SIZE(owner_of) || !owner_of[frame])
		return false;
	*vm = owner_of[frame] >> 16;
	*page = (owner_of[frame] & 0xffff) - 1;
	return true;
}

static void touch_gate(unsigned guest, uint32_t gate, bool store)
{
	uint64_t byte = (uint64_t)gate * GATE;

	model_access(guest,
		     (uint64_t)frame_of[guest][byte / PAGE_BYTES] * PAGE_BYTES +
			     byte % PAGE_BYTES,
		     store);
}

static void simulate_event(unsigned guest)
{
	struct gate *g = &gates[guest][at[guest]];
	uint32_t state = gates[guest][g->in[0]].state ^
			 ~gates[guest][g->in[1]].state;

	touch_gate(guest, at[guest], false);
	touch_gate(guest, g->in[0], false);
	touch_gate(guest, g->in[1], false);
	touch_gate(guest, at[guest], true);
	model_execute(guest, INSTRUCTIONS);
	g->state = state * 69069 + 1;
	at[guest] = g->out[g->state >> 9 & 1] ^ (draw() & 0xff);
}

static void read_source(void)
{
	struct access_record r[64];
	int nr;

	while ((nr = access_read(source, r, ARRAY_SIZE(r))) > 0)
		for (int i = 0; i < nr; i++)
			placement_record(engines[r[i].vm], &r[i]);
}

/* By the CPU of its home: 64 lines are read, and 64 written. */
static void copy_page(unsigned cpu, uint32_t from, uint32_t to)
{
	for (uint64_t line = 0; line < PAGE_BYTES; line += GATE) {
		model_access(cpu, from * (uint64_t)PAGE_BYTES + line, false);
		model_access(cpu, to * (uint64_t)PAGE_BYTES + line, true);
	}
	model_execute(cpu, MOVE_INSTRUCTIONS);
}

/* As placed_moves.c does. Return: whether there were any. */
static bool move_some_of(unsigned guest)
{
	struct placement_action a[BATCH];
	uint32_t frames[BATCH];
	uint64_t spent[BATCH];
	unsigned nr = placement_take(engines[guest], a, BATCH);

	for (unsigned i = 0; i < nr; i++) {
		unsigned cpu = a[i].from;

		frames[i] = free_frame(a[i].to);
		spent[i] = flash_work_ns(&model_window, cpu);
		copy_page(cpu, frame_of[guest][a[i].page], frames[i]);
		spent[i] = flash_work_ns(&model_window, cpu) - spent[i];
	}
	read_source(); /* what copying has missed is of no guest's page */
	for (unsigned i = 0; i < nr; i++) {
		put_page(guest, (uint32_t)a[i].page, frames[i]);
		placement_done(engines[guest], &a[i], true, spent[i]);
	}
	return nr;
}

static void take_turn(void)
{
	read_source();
	for (unsigned i = 0; i < GUESTS; i++)
		while (move_some_of(i))
			;
}

static void start(const char *policy)
{
	static uint32_t latency[MODEL_NODES * MODEL_NODES];
	static struct flash_source_config s = { .flash = &model_window,
						.clock = &ticks,
						.index_of = { 0, 1, 2, 3 },
						.find = find };
	struct placement_config c = { .pages = PAGES,
				      .nr_nodes = MODEL_NODES,
				      .latency_ns = latency,
				      .move_ns = 10000 };
	struct diag d = { 0 };

	for (unsigned i = 0; i < ARRAY_SIZE(latency); i++)
		latency[i] = i % MODEL_NODES == i / MODEL_NODES ? LOCAL_NS
								: REMOTE_NS;
	assert_int_equal(policy_parse(policy, NULL, &c.choice, &d), 0);
	memset(owner_of, 0, sizeof(owner_of));
	memset(next_free, 0, sizeof(next_free));
	memset(frame_of, 0, sizeof(frame_of));
	seed = 1;
	for (unsigned i = 0; i < GUESTS; i++) {
		assert_int_equal(placement_create(&engines[i], &c), 0);
		for (uint32_t p = 0; p < PAGES; p++)
			put_page(i, p, free_frame((i + 1) % MODEL_NODES));
		for (uint32_t g = 0; g < GATES; g++)
			gates[i][g] = (struct gate){
				{ draw_gate(), draw_gate() },
				{ draw_gate(), draw_gate() },
				draw(),
			};
	}
	ticks = (struct flash_clock){ 0 };
	model_reset();
	(void)flash_clock_read(&model_window, &ticks);
	assert_int_equal(flash_source_create(&source, &s), 0);
}

struct outcome {
	double local_percent, ms, uma_ms;
	uint64_t moves, bounced, failed;
};

static struct outcome measure(void)
{
	struct flash_cost cost = FLASH_COST_DEFAULT;
	struct flash_time t = { 0 };
	struct outcome o = { 0 };

	for (unsigned i = 0; i < GUESTS; i++) {
		const struct placement_figures *f =
			placement_figures(engines[i]);
		struct flash_counts c;

		flash_read_cpu(&model_window, i, FLASH_NOW, &c);
		flash_model_time(&model_window, &c, i, &cost, &t);
		o.moves += f->moves;
		o.bounced += f->bounced;
	}
	o.local_percent =
		100.0 * (double)t.local / (double)(t.local + t.remote);
	o.ms = (t.compute_ns + t.local_ns + t.remote_ns) / 1e6;
	o.uma_ms = o.ms - (double)t.remote * (REMOTE_NS - LOCAL_NS) / 1e6;
	return o;
}

static struct outcome run(const char *policy)
{
	uint64_t turned = 0;
	struct outcome o;

	start(policy);
	for (uint32_t e = 0; e < EVENTS; e += AT_ONCE) {
		for (unsigned i = 0; i < GUESTS; i++)
			for (unsigned n = 0; n < AT_ONCE; n++)
				simulate_event(i);
		if (flash_clock_read(&model_window, &ticks) - turned < TURN_NS)
			continue;
		take_turn();
		turned = ticks.now_ns;
	}
	o = measure();
	print_message("# %-12s %5.1f %% local, %6.1f ms of %6.1f if all were, "
		      "%llu moves, %llu again\n",
		      policy, o.local_percent, o.ms, o.uma_ms,
		      (unsigned long long)o.moves,
		      (unsigned long long)o.bounced);
	access_destroy(source);
	for (unsigned i = 0; i < GUESTS; i++)
		placement_destroy(engines[i]);
	return o;
}

/* The engineering workload's promise. */
static void pages_come_to_who_uses_them(void **state)
{
	struct outcome still, moved;

	(void)state;
	still = run("first-touch");
	assert_int_equal(still.moves, 0);
	assert_true(still.local_percent < 1);
	moved = run("balanced");
	assert_true(moved.local_percent >= 85);
	assert_true(moved.ms <= 1.2 * still.uma_ms);
	assert_true(moved.bounced <= moved.moves / 100);
}

/* With names of policies: runs of these, and no test. */
int main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_come_to_who_uses_them),
	};
	int failed = 0;

	for (unsigned i = 0; i < GUESTS; i++)
		gates[i] = calloc(GATES, sizeof(struct gate));
	model_create(32);
	for (int i = 1; i < argc; i++)
		(void)run(argv[i]);
	if (argc == 1)
		failed = cmocka_run_group_tests_name("locality", tests, NULL,
						     NULL);
	model_destroy();
	return failed;
}
