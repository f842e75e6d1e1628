/* SPDX-License-Identifier: BSD-2-Clause */
/* Ports of one network in one process, as control and workers make them. */
#ifndef TESTS_UNIT_VNET_PORTS_H
#define TESTS_UNIT_VNET_PORTS_H

#include "vnet/port.h"

#define PORTS_MAX 96u

/* What control keeps of each. */
struct ports {
	unsigned nr;
	int reader[PORTS_MAX], waker[PORTS_MAX];
	struct vnet_port *of[PORTS_MAX]; /* by slot */
};

/* @nr ports, generation 1, each knows all others. A failure ends the program. */
void ports_create(struct ports *p, unsigned nr);
void ports_destroy(struct ports *p);

/* The station of a slot: 10.1.2.(2 + slot), named "vm-SLOT". */
struct vnet_station ports_station(uint32_t slot);

/* A port in a slot; others do not know it yet. */
void ports_open(struct ports *p, uint32_t slot, uint32_t gen);
/* @who gets to know the port of a slot. Return: vnet_port_add(). */
int ports_introduce(struct ports *p, uint32_t who, uint32_t slot, uint32_t gen);

/* Send one frame, of @bytes and all of them @fill, and flush. */
int ports_send(struct ports *p, uint32_t from, struct vnet_peer *to,
	       uint32_t bytes, uint8_t fill);

#endif
