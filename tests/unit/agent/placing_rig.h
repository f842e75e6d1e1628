/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The placement of pages in an agent, with a window of a lab's counters that the
 * test writes, and this program as the worker, whose RAM is a memfd with the right
 * name.
 */
#ifndef DISCO_TESTS_PLACING_RIG_H
#define DISCO_TESTS_PLACING_RIG_H

#include "disco/agent_proto.h"
#include "disco/placement.h"
#include "monitor/agent/placing/placing.h"
#include "numa/region.h"

#define PAGES 16u
#define NODES 2u

extern struct placing *placing;
extern char *ram; /* of the worker: the test maps it */
extern uint64_t frames[PAGES];
extern uint32_t vcpu_node; /* for AGENT_PLACE */
extern int worker_figures; /* for AGENT_PLACE; of the worker; -1 */

/* Those of @ram, whose pages are written. Return: false: they are hidden. */
bool find_frames(void);

/* All frames are of node 0; the counters are of two nodes. */
int make_window(void);

/* A node has missed in it 128 times more. */
void hot(unsigned node, uint64_t frame);

/* Control asks; descriptors, or -1. */
void obey(const struct agent_request *r, int a, int b, int c);

/* @fd: of make_window() */
void tell_machine(int fd);

/* This process is the worker of VM 5. */
void tell_place(const char *policy);

/* The engine's figures. */
const struct placement_figures *said(void);

/* As if CPU 0 had worked for so long on the modelled machine. */
void pass_ms(uint64_t ms);

/* The agent's clock is that of the counters: no time passes but this. */
void turn(void);

/* Turns, until there are that many records. */
void turn_until(uint64_t records);

/* VM 5 is recorded from now on, in this ring. */
void begin_recording(struct region_view *ring);

/* The engine's figures are gone, and all of placing is. */
void end_placing(void);

#endif
