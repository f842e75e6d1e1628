/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netlist MIB EVENTS [FROM TO] - the engineering workload of bench-locality: simulates
 * a random network of gates, event by event, as the circuit simulators that Disco
 * was measured with do. A gate takes 64 bytes; an event reads two other gates,
 * writes its own, and is followed by one for one of two others, at the end of
 * the queue. As in real circuits some gates are busier than others: 7 of 8
 * connections lead to a quarter of them. Compiled in the guest by tcc. Prints a
 * sum that depends on every event.
 *
 * FROM, TO: the network is made on CPU number FROM, and simulated on TO, as by a
 * process that has been given another CPU.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* cpu_set_t */
#endif
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#define DELAY_STEPS 2 /* of arithmetic per event: the delay of a gate */
#define INPUT_EVERY 4u
#define PENDING	    16384u /* events: few enough to stay in the cache */

struct gate {
	unsigned in[2], out[2], state, toggles, pad[10];
};

static unsigned seed = 1;
static unsigned pending[PENDING];

static unsigned draw(void)
{
	seed ^= seed << 13; /* xorshift32: the low bits are as good as others */
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed;
}

static unsigned draw_gate(unsigned mask)
{
	return draw() % 8 ? draw() & mask >> 2 : draw() & mask;
}

static void connect_gates(struct gate *gates, unsigned mask)
{
	for (unsigned i = 0; i <= mask; i++) {
		struct gate *g = &gates[i];

		g->in[0] = draw_gate(mask);
		g->in[1] = draw_gate(mask);
		g->out[0] = draw_gate(mask);
		g->out[1] = draw_gate(mask);
		g->state = draw();
		g->toggles = 0;
	}
}

/* Return: the next gate. */
static unsigned evaluate(struct gate *gates, unsigned at)
{
	struct gate *g = &gates[at];
	unsigned state = gates[g->in[0]].state ^ ~gates[g->in[1]].state;

	for (unsigned i = 0; i < DELAY_STEPS; i++)
		state = state * 69069 + (state >> 15);
	g->toggles += state != g->state;
	g->state = state;
	/* Without that, all events would end in a few short circles. */
	return g->out[state >> 9 & 1] ^ (g->toggles & 0xff);
}

/* Run on the CPU of argument @i alone, if it was given. Return: whether it does. */
static int go_to(int argc, char *argv[], int i)
{
	cpu_set_t set;

	if (argc <= i)
		return 1;
	CPU_ZERO(&set);
	CPU_SET((size_t)atoi(argv[i]), &set);
	if (!sched_setaffinity(0, sizeof(set), &set))
		return 1;
	perror(argv[i]);
	return 0;
}

int main(int argc, char *argv[])
{
	unsigned mib = argc > 1 ? (unsigned)atoi(argv[1]) : 8;
	unsigned events = argc > 2 ? (unsigned)atoi(argv[2]) : 100000;
	unsigned mask = (mib << 14) - 1, sum = 0;
	struct gate *gates = malloc((size_t)(mask + 1) * sizeof(*gates));

	if (!gates || !mib || mib & (mib - 1) || !go_to(argc, argv, 3))
		return 1;
	connect_gates(gates, mask);
	for (unsigned i = 0; i < PENDING; i++)
		pending[i] = draw_gate(mask);
	if (!go_to(argc, argv, 4))
		return 1;
	for (unsigned i = 0; i < events; i++) {
		unsigned *at = &pending[i % PENDING];

		/* Now and then, an input of the circuit changes. */
		*at = (i + i / PENDING) % INPUT_EVERY
			      ? evaluate(gates, *at) & mask
			      : draw_gate(mask);
		sum = sum * 31 + *at;
	}
	printf("netlist %u\n", sum);
	return 0;
}
